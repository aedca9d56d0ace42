import { useState } from 'react';
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { serverNow, useNow } from '~/shared/lib/now';
import { Drawer } from '~/shared/ui/Drawer';
import { active, OperationBar } from '~/shared/ui/OperationBar';
import { barOf, title } from '../model';
import { clusterOperationsQuery } from '../queries';
import { OperationSteps } from './OperationSteps';

const read = new Set<string>();

/** What is being done to a cluster right now; gone ten seconds after it ended well. */
export function ObjectBar({ project, cluster }: { project: string; cluster: string }) {
  const { data } = useQuery(clusterOperationsQuery(project, cluster));
  const [opened, setOpened] = useState<string>();
  const [, again] = useState(0);
  useNow(1000);
  const operation = barOf(data?.items ?? [], serverNow(), read);
  const shown = data?.items.find((o) => o.id === opened);
  const dismiss = (id: string) => {
    read.add(id);
    again((n) => n + 1);
  };
  return (
    <>
      {operation ? (
        <OperationBar
          operation={operation}
          title={title(operation)}
          actions={
            <>
              <Button variant="subtle" size="compact-sm" onClick={() => setOpened(operation.id)}>
                Details
              </Button>
              {active(operation) ? null : (
                <Button variant="subtle" size="compact-sm" onClick={() => dismiss(operation.id)}>
                  Dismiss
                </Button>
              )}
            </>
          }
        />
      ) : null}
      <Drawer opened={shown !== undefined} onClose={() => setOpened(undefined)} title={shown ? title(shown) : ''}>
        {shown ? <OperationSteps project={project} operation={shown} /> : null}
      </Drawer>
    </>
  );
}
