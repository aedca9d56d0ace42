import { Kbd } from '@mantine/core';

export function KeyHint({ keys }: { keys: string }) {
  return (
    <span aria-hidden>
      {keys.split(' ').map((key) => (
        <Kbd key={key} size="xs" ml={4}>
          {key}
        </Kbd>
      ))}
    </span>
  );
}
