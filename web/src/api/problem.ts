import type { Problem } from './schema';

/** What the server said when it said no. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly field?: string;
  /** The operation that holds the lock. */
  readonly operation?: string;
  readonly requestId?: string;
  /** Seconds. */
  readonly retryAfter?: number;
  /** When it was said. */
  readonly at = Date.now();

  constructor(status: number, said: Partial<Problem>, retryAfter?: number) {
    super(said.detail || said.title || `The server answered ${status}.`);
    this.name = 'ApiProblem';
    this.status = status;
    this.code = said.code ?? 'unknown';
    this.title = said.title ?? `Answer ${status}`;
    this.detail = this.message;
    this.field = said.field ?? undefined;
    this.operation = said.operation ?? undefined;
    this.requestId = said.request_id;
    this.retryAfter = retryAfter;
  }
}

/** The server could not be reached at all. */
export class Unreachable extends Error {
  constructor() {
    super('Could not reach Mainstay. Databases keep running.');
    this.name = 'Unreachable';
  }
}

export async function problemOf(response: Response): Promise<ApiProblem> {
  const wait = Number(response.headers.get('retry-after'));
  let said: Partial<Problem> = {};
  try {
    said = (await response.json()) as Partial<Problem>;
  } catch {
    // A proxy between us and the server speaks for itself: the status has to do.
  }
  return new ApiProblem(response.status, said, Number.isFinite(wait) && wait > 0 ? wait : undefined);
}

export function isProblem(error: unknown, status?: number): error is ApiProblem {
  return error instanceof ApiProblem && (status === undefined || error.status === status);
}
