import { useQuery } from '@tanstack/react-query';
import { useDebouncedValue } from '@mantine/hooks';
import { Sentence } from '~/shared/ui/Sentence';
import { bodyOf, NAME, nodesOf, nodesText, priceText, sizeText, type Choice } from '../create';
import { createPlanQuery, plansQuery } from '../queries';
import classes from './CreateWizard.module.css';

/** What will be made, as the server sees it. */
export function CreateSummary({ project, choice, name }: { project: string; choice: Choice; name?: string }) {
  const [asked] = useDebouncedValue(name, 300);
  const valid = asked !== undefined && NAME.test(asked);
  const { data } = useQuery({ ...createPlanQuery(project, bodyOf(choice, asked ?? '', true)), enabled: valid });
  const plan = useQuery(plansQuery(project)).data?.items[0];
  const price = plan?.price_per_hour;
  return (
    <section className={classes.summary} aria-label="Summary">
      <strong>
        {choice.engine.title} {choice.version}
      </strong>
      {name ? <span>{name}</span> : null}
      <span>{nodesText(choice)}</span>
      {plan ? (
        <span>
          {plan.title}: {sizeText(plan)}
        </span>
      ) : null}
      <span>A backup every day at 03:00, kept 7 days, on local.</span>
      {price === null || price === undefined ? null : <span>{priceText(price, nodesOf(choice))}</span>}
      {choice.mode === 'single' ? <Sentence tone="warn">One node: if its host is lost, the newest backup is all there is.</Sentence> : null}
      {data?.warnings.map((w) => (
        <Sentence key={w} tone="warn">
          {w.charAt(0).toUpperCase() + w.slice(1)}
        </Sentence>
      ))}
    </section>
  );
}
