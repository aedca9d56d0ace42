import { useEffect, useRef } from 'react';
import { Link, useLocation } from '@tanstack/react-router';
import type { Cluster } from '~/api/schema';
import classes from './ClusterTabs.module.css';

export interface Tab {
  label: string;
  to: string;
  count?: number;
}

/** The tabs there are; one whose API is missing is not drawn. */
export function useTabs(project: string, c: Cluster): Tab[] {
  const base = `/p/${encodeURIComponent(project)}/clusters/${encodeURIComponent(c.name)}`;
  return [
    { label: 'Overview', to: base },
    { label: 'Nodes', to: `${base}/nodes`, count: c.nodes.length },
    { label: 'Backups', to: `${base}/backups` },
    { label: 'Restores', to: `${base}/restores` },
    { label: 'Metrics', to: `${base}/metrics` },
    { label: 'Access', to: `${base}/access` },
    { label: 'Settings', to: `${base}/settings` },
    { label: 'Terminal', to: `${base}/terminal` },
    { label: 'Audit', to: `${base}/audit` },
  ];
}

export function ClusterTabs({ project, cluster }: { project: string; cluster: Cluster }) {
  const tabs = useTabs(project, cluster);
  const place = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  // On a phone the row is longer than the screen: the page that is looked at is in it.
  useEffect(() => place.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' }), [pathname]);
  return (
    <nav ref={place} aria-label={`Pages of ${cluster.name}`} className={classes.tabs}>
      {tabs.map((tab) => (
        <Link key={tab.label} to={tab.to} className={classes.tab} activeOptions={{ exact: true, includeSearch: false }} activeProps={{ 'aria-current': 'page' }}>
          {tab.label}
          {tab.count === undefined ? null : <span className={classes.count}>{tab.count}</span>}
        </Link>
      ))}
    </nav>
  );
}
