import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Terminal } from './pages/terminal';
import { PERSON, SHOTS, until, world } from './world';

it('talks to the engine: rows, errors, a transaction, a statement that is cancelled', async () => {
  const page = await world.newPage();
  const scripts: string[] = [];
  page.on('response', (r) => r.url().endsWith('.js') && scripts.push(r.url()));
  await page.goto('/p/default/clusters/kept');
  await page.getByRole('link', { name: 'Terminal', exact: true }).click();
  await page.getByRole('button', { name: 'Open console' }).waitFor();
  // By itself it opens nothing, and xterm is not loaded before it is needed.
  expect(scripts.some((url) => /screen/.test(url))).toBe(false);
  const terminal = new Terminal(page);
  await page.getByRole('button', { name: 'Open console' }).click();
  await terminal.sees('kept=>');
  expect(scripts.some((url) => /screen/.test(url))).toBe(true);
  await terminal.type('create table seen (id int, name text);');
  await terminal.sees('CREATE TABLE');
  await terminal.type("insert into seen values (1, 'ada'),");
  await terminal.sees('kept->');
  await terminal.type("(2, '<b>bob</b>\u200b');");
  await terminal.sees('INSERT 0 2');
  await terminal.type('select * from seen order by id;');
  await terminal.sees('<b>bob</b>');
  await terminal.sees('(2 rows)');
  await terminal.type('selct 1;');
  await terminal.sees('syntax error');
  await terminal.sees('line 1: selct 1;');
  await page.screenshot({ path: join(SHOTS, 'terminal-1440-light.png') });
  await terminal.type('begin;');
  await terminal.sees('kept=*>');
  await page.getByText('A transaction is open.').waitFor();
  await terminal.type('delete from seen;');
  await terminal.sees('DELETE 2');
  await terminal.type('select pg_sleep(3600);');
  await until(async () => running() === 1, 20_000);
  await page.keyboard.press('Control+c');
  await terminal.sees('canceling statement due to user request');
  await terminal.sees('kept=!>');
  await until(async () => running() === 0, 20_000);
  // The arrow brings back what was typed; what is deleted is gone.
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Control+u');
  await terminal.type('rollback;');
  await terminal.sees('ROLLBACK');
  await terminal.type('alter system set work_mem = 1;');
  await terminal.sees('mainstay cluster settings kept');
  // F6 takes the keyboard out, to what ends it.
  await page.keyboard.press('F6');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('End session');
  await page.keyboard.press('Enter');
  await page.getByText('Ended.', { exact: true }).first().waitFor();
  await page.getByRole('button', { name: 'Open again' }).click();
  await page.getByRole('button', { name: 'End session' }).waitFor();
  await until(async () => (await terminal.text()).trimEnd().endsWith('kept=>'), 20_000);
  await terminal.type('select count(*) from seen;');
  await terminal.sees('(1 row)');
  expect(await terminal.text()).toMatch(/^\s+2\s*$/m);
  await world.close(page);
});

const running = () => {
  const out = world.sql('kept', "select count(*) as n from pg_stat_activity where query like 'select pg_sleep(3600)%' and state = 'active'");
  return Number(out);
};

it('is read only on a replica, and says so', async () => {
  const page = await world.newPage({ dark: true });
  const terminal = new Terminal(page);
  await page.goto('/p/default/clusters/kept/terminal');
  const replica = await page.getByRole('combobox', { name: 'Node' }).locator('option', { hasText: 'replica' }).first().getAttribute('value');
  await page.getByRole('combobox', { name: 'Node' }).selectOption(replica ?? '');
  await page.waitForURL(new RegExp(`node=${replica}`));
  await page.getByRole('button', { name: 'Open console' }).click();
  await terminal.sees('A replica: it takes no writes.');
  await terminal.type('create table x (a int);');
  await terminal.sees('read-only transaction');
  await page.screenshot({ path: join(SHOTS, 'terminal-1440-dark.png') });
  await world.close(page);
});

it('can be used on a phone', async () => {
  for (const [scheme, dark] of [
    ['light', false],
    ['dark', true],
  ] as const) {
    const page = await world.newPage({ width: 390, dark });
    const terminal = new Terminal(page);
    await terminal.open('kept');
    await terminal.type("select 'a line that is longer than a phone is wide' as long;");
    await terminal.sees('(1 row)');
    await page.getByRole('button', { name: 'The line before' }).click();
    await until(async () => (await terminal.text()).replaceAll(/\s/g, '').split('longerthan').length > 3, 10_000);
    await page.screenshot({ path: join(SHOTS, `terminal-390-${scheme}.png`) });
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(wider).toBeLessThanOrEqual(0);
    await world.close(page);
  }
});

it('ends when the person signs out in another tab, and with a reload', async () => {
  const page = await world.newPage({ fresh: true });
  await page.goto('/sign-in');
  await page.getByLabel('E-mail or user name').fill(PERSON.email);
  await page.getByLabel('Password', { exact: true }).fill(PERSON.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Clusters' }).waitFor();
  const terminal = new Terminal(page);
  await terminal.open('kept');
  await terminal.type('begin;');
  await terminal.sees('kept=*>');
  await page.reload();
  await page.getByRole('button', { name: 'Open console' }).waitFor();
  await until(async () => open() === 0, 20_000);
  await terminal.open('kept');
  const other = await page.context().newPage();
  await other.goto('/p/default/clusters');
  await other.getByRole('heading', { level: 1, name: 'Clusters' }).waitFor();
  await other.evaluate(() => fetch('/api/v1/session', { method: 'DELETE', headers: { 'x-mainstay-csrf': '1' } }));
  await page.getByText('Ended: the session or the role it was opened with has ended.').first().waitFor();
  await until(async () => open() === 0, 20_000);
  await world.close(page);
});

const open = () => Number(world.sql('kept', "select count(*) as n from pg_stat_activity where application_name = 'mainstay terminal'"));

it('says when Mainstay is gone, and opens again when it is back', async () => {
  const page = await world.newPage();
  const terminal = new Terminal(page);
  await terminal.open('kept');
  const port = world.port;
  await world.down();
  await page.getByText(/Ended: Mainstay stopped/).first().waitFor();
  await world.up(port);
  await page.getByText(/Open it again to go on/).first().waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Open again' }).click();
  await until(async () => (await terminal.text()).includes('kept=>'), 20_000);
  await world.close(page);
});

it('is not for those who may less', async () => {
  const page = await world.newPage();
  await page.route('**/api/v1/me', async (route) => {
    const answer = await route.fetch();
    const me = (await answer.json()) as { roles: { role: string }[] };
    const lowered = { ...me, administrator: false, roles: me.roles.map((r) => ({ ...r, role: 'operator' })) };
    await route.fulfill({ response: answer, body: JSON.stringify(lowered) });
  });
  await page.goto('/p/default/clusters/kept/terminal');
  await page.getByText('The terminal needs the role admin; yours is operator.').waitFor();
  expect(await page.getByRole('button', { name: 'Open console' }).count()).toBe(0);
  await world.close(page);
});
