import { expect, it } from 'vitest';
import { world } from './world';

it('draws 500 clusters, and moves little to do so', async () => {
  const page = await world.newPage();
  let script = 0;
  page.on('response', async (r) => {
    if (r.url().endsWith('.js')) script += Number((await r.allHeaders())['content-length'] ?? 0);
  });
  await page.route('**/api/v1/clusters?*', async (route) => {
    const answer = await route.fetch();
    const list = (await answer.json()) as { items: Record<string, unknown>[] };
    const items = Array.from({ length: 500 }, (_, n) => ({ ...list.items[0], id: `cl_${n}`, name: `cluster-${n}` }));
    await route.fulfill({ response: answer, body: JSON.stringify({ ...list, items }) });
  });
  await page.goto('/p/default/clusters');
  await page.getByRole('row', { name: /cluster-499/ }).waitFor();
  const took = await page.evaluate(async () => {
    const start = performance.now();
    (document.querySelector('th button') as HTMLElement).click();
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    return performance.now() - start;
  });
  console.log(`500 clusters sorted and drawn in ${Math.round(took)} ms; scripts of the first page ${Math.round(script / 1000)} kB`);
  // The time is for people to read: a machine that tests is shared, and says nothing reliable of seconds.
  expect(await page.getByRole('row', { name: /cluster-/ }).count()).toBe(500);
  expect(script).toBeLessThan(400_000);
  await page.context().close();
});
