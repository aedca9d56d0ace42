import { useEffect, useState } from 'react';
import { Button, Group, Text } from '@mantine/core';
import { IconEye, IconEyeOff } from '@tabler/icons-react';
import { CopyField } from './CopyField';

interface Props {
  what: string;
  /** Fetches it; the look is in the audit log. */
  load: () => Promise<string>;
  /** Told while it is shown, so that what is made of it can use it. */
  onShown?: (value: string | undefined) => void;
}

const SHOWN_MS = 60_000;

/** Shown on request, gone after a minute; never kept anywhere but in this component. */
export function Secret({ what, load, onShown }: Props) {
  const [value, setValue] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<string>();
  const change = (to: string | undefined) => {
    setValue(to);
    onShown?.(to);
  };
  useEffect(() => {
    if (value === undefined) return;
    const timer = setTimeout(() => {
      setValue(undefined);
      onShown?.(undefined);
    }, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [value, onShown]);
  const show = async () => {
    setBusy(true);
    setFailed(undefined);
    try {
      change(await load());
    } catch (error) {
      setFailed(error instanceof Error ? error.message : 'It could not be shown.');
    } finally {
      setBusy(false);
    }
  };
  if (value === undefined) {
    return (
      <Group gap="sm">
        <Button variant="default" loading={busy} leftSection={<IconEye size={16} stroke={1.75} />} onClick={() => void show()}>
          Show {what}
        </Button>
        {failed ? (
          <Text size="sm" c="var(--ms-bad-text-ink)" role="alert">
            {failed}
          </Text>
        ) : null}
      </Group>
    );
  }
  return (
    <div>
      <Group gap="sm" wrap="nowrap" align="center">
        <div style={{ flex: 1, minWidth: 0 }}>
          <CopyField value={value} what={what} />
        </div>
        <Button variant="default" leftSection={<IconEyeOff size={16} stroke={1.75} />} onClick={() => change(undefined)}>
          Hide {what}
        </Button>
      </Group>
      <Text size="xs" c="dimmed" mt={4}>
        Shown to you now; this look is in the audit log. It hides after a minute.
      </Text>
    </div>
  );
}
