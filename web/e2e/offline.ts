import { expect, it } from 'vitest';
import { Clusters } from './pages/clusters';
import { world } from './world';

it('says when the server is gone, keeps what it showed, and is whole when it is back', async () => {
  const page = await world.newPage();
  const clusters = new Clusters(page);
  await clusters.open('kept');
  await clusters.status('Running').waitFor();
  const port = world.port;
  await world.down();
  await page.getByText(/Mainstay does not answer since .*Databases keep running/).waitFor({ timeout: 40_000 });
  await page.getByText('Can I get it back?').waitFor();
  expect(await page.getByRole('button', { name: /Back up now/ }).first().getAttribute('aria-disabled')).toBe('true');
  await world.up(port);
  await page.getByText(/Connected again/).waitFor({ timeout: 60_000 });
  expect(await page.getByRole('button', { name: /Back up now/ }).first().getAttribute('aria-disabled')).toBeNull();
  await world.close(page);
});

it('hears of what others do without being asked', async () => {
  const page = await world.newPage();
  await new Clusters(page).open('kept');
  await page.getByRole('button', { name: /^Connection: Live/ }).waitFor({ timeout: 20_000 });
  world.cli('cluster', 'protect', 'kept', 'on');
  await page.getByText('cannot be stopped or deleted').waitFor({ timeout: 5000 });
  world.cli('cluster', 'protect', 'kept', 'off');
  await page.getByText('can be stopped and deleted').waitFor({ timeout: 5000 });
  await world.close(page);
});
