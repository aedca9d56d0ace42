import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useTitle } from '~/shared/lib/title';
import { ErrorCard } from '~/shared/ui/ErrorCard';
import { PageHead } from '~/shared/ui/PageHead';
import { Waiting } from '~/shared/ui/Skeletons';
import { clean, type CreateSearch } from '~/search';
import { chosen } from '../create';
import { enginesQuery } from '../queries';
import { CreateName } from './CreateName';
import { CreatePlace } from './CreatePlace';
import { CreateService, NoEngines } from './CreateService';
import { CreateSummary } from './CreateSummary';
import classes from './CreateWizard.module.css';

type Step = 1 | 2 | 3;

/** From choice to running. What is chosen stands in the address, so that Back and reload keep it. */
export function CreateWizard() {
  const { project } = useParams({ from: '/shell/p/$project/clusters/new' });
  const search = useSearch({ from: '/shell/p/$project/clusters/new' });
  const navigate = useNavigate({ from: '/p/$project/clusters/new' });
  useTitle('Create cluster', project);
  const query = useQuery(enginesQuery(project));
  const engines = query.data?.items ?? [];
  const choice = chosen(search, engines);
  const change = (part: CreateSearch, replace = true) => void navigate({ search: (before) => clean({ ...before, ...part }), replace });
  const step = search.step ?? 1;
  return (
    <div style={{ maxWidth: 1080 }}>
      <PageHead title="Create cluster" />
      {query.isPending ? (
        <Waiting />
      ) : query.isError && !query.data ? (
        <ErrorCard error={query.error} things="the services" retry={() => void query.refetch()} />
      ) : choice ? (
        <div className={classes.columns}>
          <div>
            <Steps step={step} go={(to) => change({ step: to === 1 ? undefined : to }, false)} />
            {step === 1 ? <CreateService engines={engines} choice={choice} change={change} /> : null}
            {step === 2 ? <CreatePlace project={project} choice={choice} change={change} /> : null}
            {step === 3 ? <CreateName project={project} choice={choice} search={search} change={change} /> : null}
          </div>
          <CreateSummary project={project} choice={choice} name={search.name} />
        </div>
      ) : (
        <NoEngines engines={engines} project={project} />
      )}
    </div>
  );
}

function Steps({ step, go }: { step: Step; go: (step: Step) => void }) {
  const names = ['Service', 'Place and size', 'Name and options'] as const;
  return (
    <ol className={classes.steps}>
      {names.map((name, n) => (
        <li key={name}>
          <button type="button" className={classes.step} aria-current={step === n + 1 ? 'step' : undefined} onClick={() => go((n + 1) as Step)}>
            <span className={classes.number}>{n + 1}</span>
            <span className={classes.stepName}>{name}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}
