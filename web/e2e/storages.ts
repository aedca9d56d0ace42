import { expect, it } from 'vitest';
import { Asking } from './pages/clusters';
import { world } from './world';

const SECRET = 'a secret that goes in only';

it('takes another login of a storage, says at the field why one is refused, and shows none again', async () => {
  const page = await world.newPage();
  const sent: Record<string, unknown>[] = [];
  // A bucket that is nowhere: how it answers is played, what the page sends is looked at.
  const cloud = { id: 'st_cloud', name: 'cloud', kind: 's3', location: 's3://backups/shop', created_at: new Date().toISOString(), edition: 1, rekeyed: false };
  await page.route('**/api/v1/storages?*', async (route) => {
    const answer = await route.fetch();
    const list = (await answer.json()) as { items: unknown[] };
    await route.fulfill({ response: answer, body: JSON.stringify({ ...list, items: [...list.items, cloud] }) });
  });
  await page.route('**/api/v1/storages/cloud?*', (route) => {
    if (route.request().method() === 'GET') return route.fulfill({ contentType: 'application/json', headers: { etag: '"as-it-is"' }, body: JSON.stringify(cloud) });
    expect(route.request().headers()['if-match']).toBe('"as-it-is"');
    sent.push(route.request().postDataJSON() as Record<string, unknown>);
    if (sent.length > 1) return route.fulfill({ contentType: 'application/json', body: JSON.stringify(cloud) });
    const problem = { type: 'about:blank', title: 'Invalid', status: 422, code: 'invalid', detail: 'the key is cut off', field: 'secret_key' };
    return route.fulfill({ status: 422, contentType: 'application/problem+json', body: JSON.stringify(problem) });
  });
  await page.goto('/p/default/storages');
  const open = async () => {
    await page.getByRole('button', { name: 'More actions for cloud' }).click();
    await page.getByRole('menuitem', { name: 'Change credentials…' }).click();
    return new Asking(page, 'Change the credentials of cloud');
  };
  const ask = await open();
  expect(await ask.button('Check and change').isDisabled()).toBe(true);
  await ask.dialog.getByRole('textbox', { name: 'Access key' }).fill('AKIANEW');
  await ask.button('Check and change').click();
  await ask.dialog.getByText('Another access key comes with its own secret key.').waitFor();
  const secret = ask.dialog.getByLabel('Secret key', { exact: true });
  expect(await secret.getAttribute('type')).toBe('password');
  await secret.fill(SECRET);
  await ask.button('Check and change').click();
  await ask.dialog.getByText('the key is cut off').waitFor();
  await secret.fill(`${SECRET}, whole`);
  await ask.confirm('Check and change');
  expect(sent).toEqual([
    { access_key: 'AKIANEW', secret_key: SECRET },
    { access_key: 'AKIANEW', secret_key: `${SECRET}, whole` },
  ]);
  expect(await page.content()).not.toContain(SECRET);
  const again = await open();
  for (const field of ['Access key', 'Secret key']) expect(await again.dialog.getByLabel(field, { exact: true }).inputValue()).toBe('');
  await again.button('Cancel').click();
  // A directory needs nothing to log in.
  await page.getByRole('button', { name: 'More actions for local' }).click();
  await page.getByRole('menuitem', { name: 'Set limits…' }).waitFor();
  expect(await page.getByRole('menuitem', { name: 'Change credentials…' }).count()).toBe(0);
  await world.close(page);
});
