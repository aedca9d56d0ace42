import { Button, Menu } from '@mantine/core';
import { IconColumns3 } from '@tabler/icons-react';
import { preference, prefer, usePreference } from '~/shared/lib/preferences';

/** Which columns a table shows in this browser; the first always stays. */
export function ColumnsMenu({ table, columns }: { table: string; columns: readonly { id: string; head: string }[] }) {
  const hidden = usePreference('hidden')[table] ?? [];
  const shown = columns.slice(1).filter((c) => !hidden.includes(c.id));
  const change = (next: string[]) =>
    prefer({ hidden: { ...preference('hidden'), [table]: columns.slice(1).map((c) => c.id).filter((id) => !next.includes(id)) } });
  return (
    <Menu closeOnItemClick={false}>
      <Menu.Target>
        <Button variant="default" h={32} fz="sm" fw={400} visibleFrom="sm" leftSection={<IconColumns3 size={14} stroke={1.75} aria-hidden />}>
          Columns
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {columns.slice(1).map((c) => {
          const on = shown.includes(c);
          const ids = shown.map((s) => s.id);
          return (
            <Menu.CheckboxItem key={c.id} checked={on} onChange={() => change(on ? ids.filter((id) => id !== c.id) : [...ids, c.id])}>
              {c.head}
            </Menu.CheckboxItem>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}
