import createClient, { type Middleware } from 'openapi-fetch';
import { heard, lost, setConnection } from './connection';
import { ApiProblem, problemOf, Unreachable } from './problem';
import type { paths } from './schema';

/** Where somebody who is not signed in is expected; a 401 there opens nothing. */
const AT_THE_DOOR = /\/api\/v1\/(session|welcome)/;

const house: Middleware = {
  onRequest({ request }) {
    // A header of one's own cannot be sent by a form of another site.
    if (request.method !== 'GET') request.headers.set('x-mainstay-csrf', '1');
    return request;
  },
  async onResponse({ request, response }) {
    if ([502, 503, 504].includes(response.status) && !response.headers.get('content-type')?.includes('problem+json')) {
      lost();
      throw new Unreachable();
    }
    heard();
    if (response.ok) return undefined;
    if (response.status === 401 && !AT_THE_DOOR.test(request.url)) setConnection({ signedOut: true });
    throw await problemOf(response);
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === 'AbortError') return error;
    if (error instanceof ApiProblem || error instanceof Unreachable) return error;
    lost();
    return new Unreachable();
  },
};

// `fetch` is looked up at each call, so that a test can stand in for it.
export const api = createClient<paths>({ baseUrl: '/', fetch: (request) => globalThis.fetch(request), credentials: 'same-origin' });
api.use(house);

interface Answer<T> {
  data?: T;
  response: Response;
}

/** The body of an answer; anything that is not one was thrown before. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<T> {
  return (await answer).data as T;
}

/** The body with its ETag, which goes back as `If-Match` with the act that rests on it. */
export async function askTagged<T>(answer: Promise<Answer<T>>): Promise<{ data: T; tag?: string }> {
  const { data, response } = await answer;
  return { data: data as T, tag: response.headers.get('etag') ?? undefined };
}

/** One for each time a dialog is opened: a double click or a retry does nothing twice. */
export const newKey = () => crypto.randomUUID();
