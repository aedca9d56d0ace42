import type { Project, Role } from './schema';

/** Routes that servers get with sign-in; the generated types have no word of them yet. */
export interface Me {
  kind: string;
  id: string;
  name: string;
  email?: string | null;
  administrator: boolean;
  roles: { project_id: string; project: string; role: Role }[];
  preferences: Record<string, unknown>;
  session?: { id: string; expires_at: string; idle_until: string } | null;
  address: string;
  server_time: string;
  version: string;
}

export interface LinkShown {
  kind: string;
  host: string;
  project?: string | null;
  role?: Role | null;
  email?: string | null;
  known: boolean;
}

type Answer<T> = { responses: { 200: { headers: Record<string, unknown>; content: { 'application/json': T } } } };
type With<B> = { requestBody: { content: { 'application/json': B } } };

export interface Ahead {
  '/api/v1/me': { get: Answer<Me> };
  '/api/v1/session': { post: With<{ user: string; password: string }> & Answer<Me>; delete: Answer<undefined> };
  '/api/v1/welcome': { post: With<{ token: string; name?: string; email?: string; password: string }> & Answer<Me> };
  '/api/v1/welcome/look': { post: With<{ token: string }> & Answer<LinkShown> };
}

/** A server without sign-in knows tokens alone, and the one that is sent is the administrator's. */
export function ofToken(projects: readonly Project[]): Me {
  return {
    kind: 'token',
    id: '',
    name: 'administrator',
    administrator: true,
    roles: projects.map((p) => ({ project_id: p.id, project: p.name, role: 'owner' })),
    preferences: {},
    address: '',
    server_time: new Date().toISOString(),
    version: '',
  };
}
