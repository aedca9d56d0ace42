import { useState } from 'react';
import { Button, Group } from '@mantine/core';
import type { Operation } from '~/api/schema';
import { currentStep } from '~/shared/ui/OperationBar';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { choices, title } from '../model';
import { useChoose, type Choice } from '../queries';

const words: Record<Choice, string> = { cancel: 'Cancel and undo', retry: 'Retry step', skip: 'Skip step…', abandon: 'Abandon…' };

function says(choice: 'skip' | 'abandon', o: Operation): string {
  const step = currentStep(o) || 'the step';
  return choice === 'skip'
    ? `“${step}” counts as done without being done, and the next step begins. What it should have made is missing: look before whether that is so.`
    : `It ends here. What was made so far stays as it is, half done, and nothing else is changed: “${step}” and what comes after it are not done. What is left over has to be put right by hand.`;
}

/** What can be decided about an operation; what leaves something behind says so first. */
export function Choices({ project, operation: o }: { project: string; operation: Operation }) {
  const choose = useChoose(project);
  const [asked, setAsked] = useState<'skip' | 'abandon'>();
  const run = (choice: Choice) => choose.mutate({ id: o.id, choice }, { onSuccess: () => setAsked(undefined) });
  return (
    <>
      {asked ? null : <ActError error={choose.error} />}
      <Group gap="sm">
        {choices(o).map((choice) => (
          <Button
            key={choice}
            variant="default"
            loading={choose.isPending && choose.variables.choice === choice}
            onClick={() => (choice === 'skip' || choice === 'abandon' ? setAsked(choice) : run(choice))}
          >
            {words[choice]}
          </Button>
        ))}
      </Group>
      {asked ? (
        <ConfirmDialog
          opened
          onClose={() => setAsked(undefined)}
          title={asked === 'skip' ? `Skip a step of ${title(o)}` : `Abandon ${title(o)}`}
          action={asked === 'skip' ? 'Skip step' : 'Abandon'}
          danger
          busy={choose.isPending}
          error={choose.error}
          onConfirm={() => run(asked)}
        >
          <p style={{ margin: 0 }}>{says(asked, o)}</p>
        </ConfirmDialog>
      ) : null}
    </>
  );
}
