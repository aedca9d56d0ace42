import { Button, Group, Stack } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { CopyField } from '~/shared/ui/CopyField';
import { Sentence } from '~/shared/ui/Sentence';
import { keyFile } from '../model';

export function save(text: string, name: string) {
  const address = URL.createObjectURL(new Blob([`${text}\n`], { type: 'text/plain' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

/** A key on its way out: seen now, and gone from the page when the dialog closes. */
export function KeyShown({ project, name, value }: { project: string; name: string; value: string }) {
  return (
    <Stack gap="sm">
      <Sentence tone="warn" banner>
        Whoever has this file and a storage can read every backup of {project}. Keep it off this machine. That it was shown is in the audit log.
      </Sentence>
      <CopyField value={value} what="the recovery key" />
      <Group>
        <Button variant="default" leftSection={<IconDownload size={16} stroke={1.75} />} onClick={() => save(value, keyFile(project, name))}>
          Download recovery key
        </Button>
      </Group>
    </Stack>
  );
}
