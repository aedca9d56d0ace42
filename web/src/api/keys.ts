/**
 * Query keys: `[project, noun, 'list', filters]` and `[project, noun, 'one', name or id]`. The stream of
 * events finds what it changes by them.
 */
export const keys = {
  all: (project: string, noun: string) => [project, noun] as const,
  lists: (project: string, noun: string) => [project, noun, 'list'] as const,
  list: (project: string, noun: string, filters: Record<string, unknown> = {}) => [project, noun, 'list', filters] as const,
  one: (project: string, noun: string, id: string) => [project, noun, 'one', id] as const,
  /** What hangs on an object and has no events of its own: its settings, a plan, a node's log. */
  part: (project: string, noun: string, id: string, part: string, more: Record<string, unknown> = {}) =>
    [project, noun, 'part', id, part, more] as const,
};

declare module '@tanstack/react-query' {
  interface Register {
    queryMeta: {
      /** Whether an object that the stream brings belongs into this list; without it the list is asked for again. */
      belongs?: (object: never) => boolean;
      /** Of a list of the newest: so many are kept, however many the stream brings. */
      most?: number;
    };
  }
}
