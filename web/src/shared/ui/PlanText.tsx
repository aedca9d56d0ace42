import { Stack } from '@mantine/core';
import type { Plan } from '~/api/schema';
import { asSentence } from '~/shared/lib/localTimes';
import { PlannedSteps } from './StepList';
import { Sentence } from './Sentence';

/** What the server says it would do: what it comes to, what to mind, and the steps. */
export function PlanText({ plan, steps = true, summary = true }: { plan: Plan; steps?: boolean; summary?: boolean }) {
  return (
    <Stack gap="sm">
      {(summary ? plan.summary : []).map((line) => (
        <p key={line} style={{ margin: 0 }}>
          {asSentence(line)}
        </p>
      ))}
      {plan.warnings.map((line) => (
        <Sentence key={line} tone="warn">
          {asSentence(line)}
        </Sentence>
      ))}
      {steps && plan.steps.length > 0 ? (
        <details>
          <summary>Steps ({plan.steps.length})</summary>
          <PlannedSteps steps={plan.steps} />
        </details>
      ) : null}
    </Stack>
  );
}
