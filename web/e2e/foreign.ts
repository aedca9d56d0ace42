import { expect, it } from 'vitest';
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
  await page.unroute('**/api/v1/clusters/kept/allow-list*');
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
  await page.unroute('**/api/v1/clusters?*');
  // As an address might bring it.
  for (const text of PAYLOADS) {
    await page.goto(`/p/default/clusters?q=${encodeURIComponent(text)}&sort=${encodeURIComponent(text)}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    expect([await hit(), await strange()]).toEqual([undefined, 0]);
  }
  await page.context().close();
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
  await page.context().close();
});
