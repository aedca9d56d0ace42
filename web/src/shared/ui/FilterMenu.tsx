import { Button, Menu } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';

interface Props {
  label: string;
  value: string | undefined;
  options: readonly { value: string; label: string }[];
  onChange: (value: string | undefined) => void;
}

/** One filter of a list; what is chosen stands in the button. */
export function FilterMenu({ label, value, options, onChange }: Props) {
  const chosen = options.find((o) => o.value === value)?.label ?? value;
  return (
    <Menu position="bottom-start">
      <Menu.Target>
        <Button
          variant="default"
          h={32}
          radius={999}
          fz="sm"
          fw={400}
          rightSection={<IconChevronDown size={14} stroke={1.75} aria-hidden />}
          bg={chosen ? 'var(--ms-selected)' : undefined}
        >
          {chosen ? `${label}: ${chosen}` : label}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.RadioGroup value={value ?? ''} onChange={(next) => onChange(String(next) || undefined)}>
          <Menu.RadioItem value="">All</Menu.RadioItem>
          {options.map((o) => (
            <Menu.RadioItem key={o.value} value={o.value}>
              {o.label}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
      </Menu.Dropdown>
    </Menu>
  );
}
