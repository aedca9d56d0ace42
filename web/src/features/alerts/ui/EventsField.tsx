import { Checkbox, SimpleGrid, Stack } from '@mantine/core';
import { events } from '../model';

/** Switches for each kind; none means everything, also what is yet to come. */
export function EventsField({ value, onChange }: { value: string[]; onChange: (next: string[]) => void }) {
  const all = value.length === 0;
  return (
    <Stack gap="sm" role="group" aria-label="What it passes on">
      <Checkbox label="Everything, also what is yet to come" checked={all} onChange={(e) => onChange(e.currentTarget.checked ? [] : ['backup_failed', 'backup_overdue', 'drill_failed', 'alert_raised'])} />
      {all ? null : (
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm" pl={28}>
          {events.map((e) => (
            <Checkbox
              key={e.value}
              label={e.label}
              checked={value.includes(e.value)}
              onChange={(event) => {
                const next = event.currentTarget.checked ? [...value, e.value] : value.filter((v) => v !== e.value);
                // The last one stays: a notifier of nothing is switched off, not emptied.
                if (next.length > 0) onChange(next);
              }}
            />
          ))}
        </SimpleGrid>
      )}
    </Stack>
  );
}
