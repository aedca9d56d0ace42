import { expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { world } from './world';

/** What people and programs may have put where the page shows it. */
const PAYLOADS = [
  '<script>window.hit=1</script>',
  '<img src=x onerror=window.hit=1>',
  '<svg onload=window.hit=1>',
  '"><script>window.hit=1</script>',
  "'><img src=x onerror=window.hit=1>",
  '<iframe srcdoc="<script>parent.hit=1</script>">',
  '<a href="javascript:window.hit=1">x</a>',
  'javascript:window.hit=1',
  '<body onload=window.hit=1>',
  '<input autofocus onfocus=window.hit=1>',
  '<details open ontoggle=window.hit=1>',
  '<video><source onerror=window.hit=1>',
  '<math><mtext><script>window.hit=1</script>',
  '<style>@import "javascript:window.hit=1"</style>',
  '<link rel=stylesheet href="javascript:window.hit=1">',
  '<object data="javascript:window.hit=1">',
  '<embed src="javascript:window.hit=1">',
  '<base href="javascript:window.hit=1//">',
  '<form action="javascript:window.hit=1"><button>x</button></form>',
  '<marquee onstart=window.hit=1>',
  '{{constructor.constructor("window.hit=1")()}}',
  '${window.hit=1}',
  '\\"-window.hit=1-\\"',
  '</title><script>window.hit=1</script>',
  '</textarea><script>window.hit=1</script>',
  '<!--<script>window.hit=1</script>-->',
  '<scr<script>ipt>window.hit=1</scr</script>ipt>',
  '&lt;script&gt;window.hit=1&lt;/script&gt;',
  '\u202Egnp.exe<script>window.hit=1</script>',
  '__proto__[hit]=1',
];

it(`shows ${PAYLOADS.length} texts that are no texts as what they are`, async () => {
  expect(PAYLOADS.length).toBe(30);
  const page = await world.newPage();
  const hit = () => page.evaluate(() => (window as unknown as { hit?: number }).hit ?? ({} as { hit?: number }).hit);
  const strange = () => page.evaluate(() => document.querySelectorAll('iframe, object, embed, base, marquee, #root script').length);
  // As the server might tell it: notes of an allow-list, reasons, sentences.
  const body = JSON.stringify({ open: false, allow_list: PAYLOADS.map((note, n) => ({ cidr: `10.0.0.${n}/32`, note })) });
  await page.route('**/api/v1/clusters/kept/allow-list*', (route) => route.fulfill({ contentType: 'application/json', body }));
  await page.goto('/p/default/clusters/kept/access');
  for (const text of PAYLOADS) await page.getByText(text, { exact: true }).first().waitFor();
  expect([await hit(), await strange()]).toEqual([undefined, 0]);
  await page.unrouteAll({ behavior: 'wait' });
  await page.route('**/api/v1/clusters?*', async (route) => {
    const answer = await route.fetch();
    const list = (await answer.json()) as { items: Record<string, unknown>[] };
    const [one] = list.items;
    const items = PAYLOADS.map((text, n) => ({ ...one, id: `cl_${n}`, name: text, status: text, status_reason: text, engine: text, alerts: [] }));
    await route.fulfill({ response: answer, body: JSON.stringify({ ...list, items }) });
  });
  await page.goto('/p/default/clusters');
  for (const text of PAYLOADS) await page.getByRole('link', { name: text, exact: true }).first().waitFor();
  expect([await hit(), await strange()]).toEqual([undefined, 0]);
  await page.unrouteAll({ behavior: 'wait' });
  // As an address might bring it.
  for (const text of PAYLOADS) {
    await page.goto(`/p/default/clusters?q=${encodeURIComponent(text)}&sort=${encodeURIComponent(text)}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    expect([await hit(), await strange()]).toEqual([undefined, 0]);
  }
  await world.close(page);
});

/** Fields of answers that hold words of people, of engines or of other machines. */
const WORDS = new Set(
  `action actor browser description detail email error expect form host install_hint keep_reason lines location made_by message method note object
  on_the_wall query reason region requested_by sentence status_reason storages summary text title trouble url warnings who`.split(/\s+/),
);

/** Each such text in turn in the place of the words; what the page goes by stays. */
function poisoned(value: unknown, key: string, next: () => string): unknown {
  if (typeof value === 'string') return WORDS.has(key) ? next() : value;
  if (Array.isArray(value)) return value.map((v) => poisoned(v, key, next));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, poisoned(v, k, next)]));
}

const PAGES = [
  'clusters',
  'clusters/kept',
  'clusters/kept/nodes?node=kept-1',
  'clusters/kept/nodes?view=topology',
  'clusters/kept/backups',
  'clusters/kept/backups?restore=newest',
  'clusters/kept/backups?schedule=default',
  'clusters/kept/restores',
  'clusters/kept/access',
  'clusters/kept/settings',
  'clusters/kept/audit',
  'clusters/new',
  'backups',
  'groups',
  'storages',
  'operations?show=all',
  'alerts',
  'bin',
  'audit',
  'members',
  'tokens',
  'recovery',
];

const hits = (page: Page) => page.evaluate(() => [(window as unknown as { hit?: number }).hit ?? ({} as { hit?: number }).hit, document.querySelectorAll('iframe, object, embed, base, marquee, #root script').length]);

it('shows them on every page, whoever said them', async () => {
  const page = await world.newPage();
  let n = 0;
  const next = () => PAYLOADS[(n += 1) % PAYLOADS.length] ?? '';
  await page.route('**/api/v1/**', async (route) => {
    // The stream has no end that one could wait for.
    if (new URL(route.request().url()).pathname === '/api/v1/events') return route.continue();
    const answer = await route.fetch();
    if (route.request().method() !== 'GET' || !answer.headers()['content-type']?.includes('application/json')) return route.fulfill({ response: answer });
    return route.fulfill({ response: answer, body: JSON.stringify(poisoned(await answer.json(), '', next)) });
  });
  for (const path of PAGES) {
    await page.goto(`/p/default/${path}`);
    await page.getByRole('heading', { level: 1 }).first().waitFor();
    await page.waitForTimeout(700);
    expect([path, ...(await hits(page))]).toEqual([path, undefined, 0]);
    expect(await page.getByText('This page could not be drawn').count(), path).toBe(0);
  }
  expect(n).toBeGreaterThan(PAYLOADS.length * 5);
  await world.close(page);
});

const press = (name: string | RegExp) => (page: Page) => page.getByRole('button', { name }).first().click();

/** Where somebody types. */
const FORMS: [string, ((page: Page) => Promise<void>)?][] = [
  ['/sign-in'],
  ['/p/default/clusters'],
  ['/p/default/clusters', (page) => page.keyboard.press('Control+k')],
  ['/p/default/clusters/new?step=3'],
  ['/p/default/clusters/kept', press('Back up now')],
  ['/p/default/clusters/kept', press(/^Delete cluster/)],
  ['/p/default/clusters/kept/nodes?node=kept-1'],
  ['/p/default/clusters/kept/backups'],
  ['/p/default/clusters/kept/backups?restore=newest'],
  ['/p/default/clusters/kept/backups?schedule=%2B'],
  ['/p/default/clusters/kept/backups', press('Change rules…')],
  ['/p/default/clusters/kept/backups', press('Add assertions…')],
  ['/p/default/clusters/kept/access'],
  ['/p/default/clusters/kept/settings'],
  ['/p/default/storages', press('Add storage')],
  ['/p/default/groups', press('Create group')],
  ['/p/default/audit'],
  ['/p/default/alerts', press(/^Add/)],
  ['/p/default/members', press('Invite member')],
  ['/p/default/tokens', press('Create token')],
  ['/p/default/recovery', press(/^Check a key|^Export/)],
  ['/me'],
];

it.each(FORMS)('takes them in every field of %s (%#)', async (path, open) => {
  const page = await world.newPage({ fresh: path === '/sign-in' });
  await page.goto(path);
  await page.getByRole('heading', { level: 1 }).first().waitFor();
  await page.waitForTimeout(500);
  await open?.(page);
  await page.waitForTimeout(400);
  const filled = await page.evaluate(async (payloads) => {
    let count = 0;
    const fields = () => [...document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>('input, textarea')].filter((f) => !f.disabled && !f.readOnly && f.offsetParent !== null && !['checkbox', 'radio', 'file', 'hidden'].includes(f.type));
    for (const text of payloads) {
      for (const field of fields()) {
        const kind = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
        Object.getOwnPropertyDescriptor(kind.prototype, 'value')?.set?.call(field, text);
        field.dispatchEvent(new Event('input', { bubbles: true }));
        field.dispatchEvent(new FocusEvent('focusout', { bubbles: true }));
        count += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    return count;
  }, PAYLOADS);
  expect(filled).toBeGreaterThanOrEqual(PAYLOADS.length);
  await page.waitForTimeout(500);
  expect(await hits(page)).toEqual([undefined, 0]);
  expect(await page.getByText('This page could not be drawn').count()).toBe(0);
  await world.close(page);
});

it('is served with a policy that lets no script in but its own, and asks nobody else', async () => {
  const page = await world.newPage();
  const asked = new Set<string>();
  page.on('request', (r) => asked.add(new URL(r.url()).origin));
  const answer = await page.goto('/p/default/clusters');
  const policy = answer?.headers()['content-security-policy'] ?? '';
  expect(policy).toMatch(/default-src 'self'|script-src 'self'/);
  expect(/script-src[^;]*unsafe/.test(policy)).toBe(false);
  await page.getByRole('row', { name: /kept/ }).waitFor();
  expect([...asked]).toEqual([world.base]);
  expect(await page.locator('script:not([src])').count()).toBe(0);
  await world.close(page);
});
