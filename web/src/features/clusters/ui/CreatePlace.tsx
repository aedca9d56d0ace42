import { Button, Group, Radio, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { SizePlan } from '~/api/schema';
import { Loaded } from '~/shared/ui/Loaded';
import { Sentence } from '~/shared/ui/Sentence';
import { nodesOf, priceText, sizeText } from '../create';
import { plansQuery } from '../queries';
import type { Part } from './createParts';
import classes from './CreateWizard.module.css';

/** Where its nodes stand, and what they may use. */
export function CreatePlace({ project, choice, change }: Part & { project: string }) {
  const query = useQuery(plansQuery(project));
  return (
    <Stack gap="lg">
      <Radio.Group label="Provider" value="here">
        <Radio.Card value="here" className={classes.choice} mt={4} aria-label="This machine">
          <Group wrap="nowrap" gap="sm">
            <Radio.Indicator />
            <span>
              <span className={classes.title}>This machine</span>
              <span className={classes.dim} style={{ display: 'block' }}>
                The machine that Mainstay runs on.
              </span>
            </span>
          </Group>
        </Radio.Card>
      </Radio.Group>
      {choice.mode === 'single' ? null : (
        <Sentence tone="warn">{nodesOf(choice) === 2 ? 'Both nodes' : `All ${nodesOf(choice)} nodes`} would be on this machine. Losing it loses them together.</Sentence>
      )}
      <Loaded query={query} things="the sizes">
        {({ items }) => <Sizes plans={items} />}
      </Loaded>
      <Group justify="space-between" className={classes.buttons}>
        <Button variant="default" onClick={() => change({ step: undefined }, false)}>
          Back
        </Button>
        <Button onClick={() => change({ step: 3 }, false)}>Continue</Button>
      </Group>
    </Stack>
  );
}

/** The server takes no size yet but the whole machine's: it is shown, and nothing is sent of it. */
function Sizes({ plans }: { plans: readonly SizePlan[] }) {
  const [first] = plans;
  if (!first) return null;
  return (
    <Radio.Group label="Plan" value={first.name}>
      <Stack gap="sm" mt={4}>
        {plans.slice(0, 1).map((p) => (
          <Radio.Card key={p.name} value={p.name} className={classes.choice} aria-label={`Plan ${p.title}`}>
            <Group wrap="nowrap" gap="sm" align="flex-start">
              <Radio.Indicator mt={2} />
              <span style={{ flex: 1 }}>
                <span className={classes.title}>{p.title}</span>
                <span className={classes.dim} style={{ display: 'block' }}>
                  {sizeText(p)}
                  {p.shared ? '. Nodes share all of it, without limits.' : ''}
                </span>
              </span>
              {p.price_per_hour === null || p.price_per_hour === undefined ? null : <Text size="sm">{priceText(p.price_per_hour, 1)}</Text>}
            </Group>
          </Radio.Card>
        ))}
      </Stack>
    </Radio.Group>
  );
}
