import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router';
import type { QueryClient } from '@tanstack/react-query';
import { queryClient } from './app/Providers';
import { Shell } from './app/Shell';
import { isProblem } from './api/problem';
import { meQuery } from './features/auth';
import { clusterQuery, clustersQuery } from './features/clusters';
import { ClusterFrame } from './routes/ClusterFrame';
import { Clusters } from './routes/Clusters';
import { Overview } from './features/clusters/ui/Overview';
import { Missing, PageError } from './routes/Missing';
import { preference } from './shared/lib/preferences';
import { Waiting } from './shared/ui/Skeletons';
import { auditSearch } from './features/audit/search';
import { backupsSearch } from './features/backups/search';
import { groupsSearch } from './features/groups/search';
import { operationsSearch } from './features/operations/search';
import { terminalSearch } from './features/terminal/search';
import * as search from './search';

/**
 * Every address of the page. A page is a file in `routes/`; all but the clusters' list and frame come when they
 * are asked for. What can be shared, filters and open drawers too, is in the address, and checked in `search.ts`.
 */
const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  component: Outlet,
  notFoundComponent: Missing,
  errorComponent: PageError,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: search.signIn,
  component: lazyRouteComponent(() => import('./routes/SignIn'), 'SignIn'),
});

const welcome = createRoute({
  getParentRoute: () => root,
  path: '/welcome',
  component: lazyRouteComponent(() => import('./routes/Welcome'), 'Welcome'),
});

/** Everything behind the door. */
const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  beforeLoad: async ({ context, location }) => {
    try {
      return { me: await context.queryClient.ensureQueryData(meQuery) };
    } catch (error) {
      if (isProblem(error, 401)) throw redirect({ to: '/sign-in', search: { next: location.href } });
      throw error;
    }
  },
  component: Shell,
  errorComponent: PageError,
});

const home = createRoute({
  getParentRoute: () => shell,
  path: '/',
  beforeLoad: ({ context }) => {
    const projects = context.me.roles.map((r) => r.project);
    const last = preference('project');
    const project = last && projects.includes(last) ? last : (projects.find((p) => p === 'default') ?? projects[0] ?? 'default');
    throw redirect({ to: '/p/$project/clusters', params: { project }, replace: true });
  },
});

export const projectRoute = createRoute({ getParentRoute: () => shell, path: '/p/$project', component: Outlet });

const projectHome = createRoute({
  getParentRoute: () => projectRoute,
  path: '/',
  beforeLoad: ({ params }) => {
    throw redirect({ to: '/p/$project/clusters', params, replace: true });
  },
});

const clusters = createRoute({
  getParentRoute: () => projectRoute,
  path: '/clusters',
  validateSearch: search.clusters,
  loader: ({ context, params }) => void context.queryClient.prefetchQuery(clustersQuery(params.project)),
  component: Clusters,
});

const create = createRoute({
  getParentRoute: () => projectRoute,
  path: '/clusters/new',
  validateSearch: search.create,
  component: lazyRouteComponent(() => import('./routes/CreateCluster'), 'CreateCluster'),
});

export const clusterRoute = createRoute({
  getParentRoute: () => projectRoute,
  path: '/clusters/$cluster',
  loader: ({ context, params }) => void context.queryClient.prefetchQuery(clusterQuery(params.project, params.cluster)),
  component: ClusterFrame,
});

const overview = createRoute({ getParentRoute: () => clusterRoute, path: '/', component: Overview });

const nodes = createRoute({
  getParentRoute: () => clusterRoute,
  path: '/nodes',
  validateSearch: search.nodes,
  component: lazyRouteComponent(() => import('./routes/Nodes'), 'Nodes'),
});

const access = createRoute({ getParentRoute: () => clusterRoute, path: '/access', component: lazyRouteComponent(() => import('./routes/Access'), 'Access') });

const settings = createRoute({ getParentRoute: () => clusterRoute, path: '/settings', component: lazyRouteComponent(() => import('./routes/Settings'), 'Settings') });

const metrics = createRoute({ getParentRoute: () => clusterRoute, path: '/metrics', validateSearch: search.metrics, component: lazyRouteComponent(() => import('./routes/Metrics'), 'Metrics') });

const backups = createRoute({
  getParentRoute: () => clusterRoute,
  path: '/backups',
  validateSearch: backupsSearch,
  component: lazyRouteComponent(() => import('./routes/Backups'), 'Backups'),
});

const restores = createRoute({
  getParentRoute: () => clusterRoute,
  path: '/restores',
  component: lazyRouteComponent(() => import('./routes/Restores'), 'Restores'),
});

const projectBackups = createRoute({
  getParentRoute: () => projectRoute,
  path: '/backups',
  validateSearch: backupsSearch,
  component: lazyRouteComponent(() => import('./routes/ProjectBackups'), 'ProjectBackups'),
});

const terminal = createRoute({
  getParentRoute: () => clusterRoute,
  path: '/terminal',
  validateSearch: terminalSearch,
  component: lazyRouteComponent(() => import('./routes/Terminal'), 'Terminal'),
});

const clusterAudit = createRoute({
  getParentRoute: () => clusterRoute,
  path: '/audit',
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import('./routes/AuditOfCluster'), 'AuditOfCluster'),
});

const operations = createRoute({
  getParentRoute: () => projectRoute,
  path: '/operations',
  validateSearch: operationsSearch,
  component: lazyRouteComponent(() => import('./routes/Operations'), 'Operations'),
});

const storages = createRoute({ getParentRoute: () => projectRoute, path: '/storages', component: lazyRouteComponent(() => import('./routes/Storages'), 'Storages') });

const audit = createRoute({
  getParentRoute: () => projectRoute,
  path: '/audit',
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import('./routes/Audit'), 'Audit'),
});

const alerts = createRoute({ getParentRoute: () => projectRoute, path: '/alerts', component: lazyRouteComponent(() => import('./routes/Alerts'), 'Alerts') });

const bin = createRoute({ getParentRoute: () => projectRoute, path: '/bin', component: lazyRouteComponent(() => import('./routes/Bin'), 'Bin') });

const groups = createRoute({ getParentRoute: () => projectRoute, path: '/groups', validateSearch: groupsSearch, component: lazyRouteComponent(() => import('./routes/Groups'), 'Groups') });

const recovery = createRoute({ getParentRoute: () => projectRoute, path: '/recovery', component: lazyRouteComponent(() => import('./routes/Recovery'), 'Recovery') });

const tokens = createRoute({ getParentRoute: () => projectRoute, path: '/tokens', component: lazyRouteComponent(() => import('./routes/Tokens'), 'Tokens') });

const members = createRoute({ getParentRoute: () => projectRoute, path: '/members', component: lazyRouteComponent(() => import('./routes/Members'), 'Members') });

const profile = createRoute({ getParentRoute: () => shell, path: '/me', component: lazyRouteComponent(() => import('./routes/Profile'), 'Profile') });

/** Tabs of a cluster, and nouns of a project beside its clusters. */
const tabs = [overview, nodes, backups, restores, metrics, access, settings, terminal, clusterAudit] as const;
const pages = [projectBackups, storages, operations, alerts, bin, audit, groups, recovery, tokens, members] as const;

const tree = root.addChildren([
  signIn,
  welcome,
  shell.addChildren([home, profile, projectRoute.addChildren([projectHome, clusters, create, clusterRoute.addChildren(tabs), ...pages])]),
]);

export const router = createRouter({
  routeTree: tree,
  context: { queryClient },
  defaultPreload: 'intent',
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
  defaultNotFoundComponent: Missing,
  defaultErrorComponent: PageError,
  defaultPendingComponent: Waiting,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
