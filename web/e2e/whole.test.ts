import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Asking, Clusters } from './pages/clusters';
import { Mouse } from './pages/mouse';
import { Terminal } from './pages/terminal';
import { PERSON, SHOTS, until, World } from './world';

/** A server of its own: this story begins where nobody was before. */
const own = new World();
let page: Page;
let mouse: Mouse;
let clusters: Clusters;
let url = '';

/** For looking alone, beside the page, with the credentials that it shows: what is written is written in its terminal. */
const look = (text: string): string =>
  execFileSync('psql', [url, '-qAtX', '-v', 'ON_ERROR_STOP=1', '-c', 'begin read only', '-c', text, '-c', 'rollback'], { encoding: 'utf8', timeout: 30_000 }).trim();

/** What somebody types into the cluster's terminal, a line and what the engine says to it at a time. */
async function write(...lines: [line: string, said: string][]) {
  const terminal = new Terminal(page);
  await mouse.tab('Terminal');
  await mouse.press('Open console');
  await terminal.sees('=>');
  await terminal.screen.click();
  for (const [line, said] of lines) {
    await terminal.type(line);
    await terminal.sees(said);
  }
  await mouse.press('End session');
  await page.getByText('Ended.', { exact: true }).first().waitFor();
}

const rows = (): string => {
  try {
    return look('select count(*) from orders');
  } catch {
    return '';
  }
};

const shot = (name: string) => page.screenshot({ path: join(SHOTS, `whole-${name}.png`) });

beforeAll(async () => {
  await own.start();
  page = await own.newPage({ fresh: true });
  mouse = new Mouse(page);
  clusters = new Clusters(page);
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await shot('failed').catch(() => undefined);
});

afterAll(() => own.stop());

/** One person, one mouse, one cluster, from the first link to the recycle bin and back. */
describe('the whole story, by mouse', () => {
  it('opens the first link and signs in', async () => {
    await page.goto(own.link);
    await page.getByRole('textbox', { name: 'Name' }).fill(PERSON.name);
    await page.getByRole('textbox', { name: 'E-mail' }).fill(PERSON.email);
    await page.getByLabel('Password', { exact: true }).fill(PERSON.password);
    await mouse.press('Create administrator');
    await page.getByText('No clusters yet').waitFor();
    await mouse.menu(/^You:/, 'Sign out');
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.getByLabel('E-mail or user name').fill(PERSON.email);
    await page.getByLabel('Password', { exact: true }).fill(PERSON.password);
    await mouse.press('Sign in');
    await page.getByText('No clusters yet').waitFor();
  });

  it('deploys PostgreSQL with a replica and sees it become ready', async () => {
    await mouse.press('Create cluster');
    await page.getByRole('radio', { name: 'PostgreSQL' }).click();
    await mouse.press('Continue');
    await mouse.press('Continue');
    await page.getByRole('textbox', { name: 'Name' }).fill('shop-db');
    await mouse.press('Create cluster');
    await clusters.status('Running').waitFor({ timeout: 180_000 });
    await clusters.idle();
    await shot('ready');
  });

  it('writes, in the terminal of the page', async () => {
    await mouse.press('Show password');
    await page.getByText('this look is in the audit log').waitFor();
    url = await page.getByRole('textbox', { name: 'URL snippet' }).inputValue();
    await mouse.press('Hide password');
    await write(['create table orders (id int primary key);', 'CREATE TABLE'], ['insert into orders select generate_series(1, 1000);', 'INSERT 0 1000'], ['select count(*) from orders;', '1000']);
    await shot('written');
    expect(rows()).toBe('1000');
  });

  it('sets a schedule', async () => {
    await mouse.tab('Backups');
    await mouse.press('Add schedule');
    const ask = new Asking(page, 'Add a schedule to shop-db');
    await ask.dialog.getByRole('textbox', { name: 'Name' }).fill('evening');
    await mouse.press('21:00', ask.dialog.getByRole('group', { name: 'Hours' }));
    await until(async () => (await ask.dialog.getByRole('region', { name: 'What comes of it' }).getByRole('listitem').count()) === 5, 20_000);
    await ask.confirm('Save schedule');
    await page.getByRole('listitem').filter({ hasText: 'evening' }).getByRole('status', { name: 'On' }).waitFor();
  });

  it('backs up and drills', async () => {
    await mouse.press('Back up now');
    const ask = new Asking(page, 'Back up shop-db');
    await ask.dialog.getByRole('textbox', { name: 'Description' }).fill('a thousand orders');
    await ask.confirm('Back up now');
    const row = page.getByRole('row').filter({ hasText: 'a thousand orders' });
    await row.getByRole('status', { name: 'Completed' }).waitFor({ timeout: 120_000 });
    await clusters.idle();
    await mouse.menu(/^More actions for the backup/, 'Run a drill', row);
    await new Asking(page, /^Run a drill/).confirm('Run a drill');
    await row.getByRole('status', { name: 'Drilled' }).waitFor({ timeout: 180_000 });
    await clusters.idle();
    await shot('drilled');
  });

  it('deletes rows in the terminal, and restores in place by the plan', async () => {
    await write(['delete from orders where id > 10;', 'DELETE 990']);
    expect(rows()).toBe('10');
    await mouse.tab('Backups');
    await mouse.menu(/^More actions for the backup/, 'Restore…', page.getByRole('row').filter({ hasText: 'a thousand orders' }));
    const dialog = page.getByRole('dialog', { name: 'Restore shop-db' });
    await dialog.getByRole('radio', { name: /^This cluster/ }).click();
    await dialog.getByText(/Everything written to shop-db since/).waitFor();
    await dialog.getByRole('textbox', { name: 'Type shop-db to confirm' }).fill('shop-db');
    await shot('plan');
    await mouse.press('Restore this cluster', dialog);
    await dialog.waitFor({ state: 'detached' });
    await until(async () => rows() === '1000', 180_000);
    await clusters.idle();
  });

  it('undoes that', async () => {
    await mouse.tab('Restores');
    await mouse.press('Undo restore…');
    const ask = new Asking(page, 'Undo the restore of shop-db');
    await ask.type('shop-db');
    await ask.confirm('Undo restore');
    await until(async () => rows() === '10', 180_000);
    await page.getByRole('status', { name: 'Undone' }).waitFor({ timeout: 120_000 });
    await clusters.idle();
  });

  it('restores as a new cluster', async () => {
    await mouse.tab('Backups');
    await mouse.menu(/^More actions for the backup/, 'Restore…', page.getByRole('row').filter({ hasText: 'a thousand orders' }));
    const dialog = page.getByRole('dialog', { name: 'Restore shop-db' });
    await dialog.getByText('Nothing is lost: no other cluster is touched.').waitFor();
    await mouse.press('Restore to a new cluster', dialog);
    await dialog.waitFor({ state: 'detached' });
    await mouse.go('Clusters');
    await page.getByRole('row', { name: /shop-db-restored/ }).getByRole('status', { name: 'Running' }).waitFor({ timeout: 180_000 });
  });

  it('promotes the replica', async () => {
    await mouse.open('shop-db');
    await mouse.tab('Nodes');
    await mouse.menu('More actions for shop-db-2', /^Promote/);
    const ask = new Asking(page, 'Promote shop-db-2');
    await ask.type('shop-db-2');
    await ask.confirm('Promote shop-db-2');
    await clusters.row('shop-db-2').getByText('Primary', { exact: true }).waitFor({ timeout: 180_000 });
    await clusters.idle();
    expect(rows()).toBe('10');
  });

  it('adds a node', async () => {
    await mouse.press('Add node');
    await new Asking(page, 'Add a node to shop-db').confirm('Add node');
    await clusters.row('shop-db-3').getByRole('status', { name: 'Running' }).waitFor({ timeout: 180_000 });
    await clusters.idle();
    await mouse.press('Topology');
    await until(async () => (await page.getByTestId('topology-edge').count()) === 2, 20_000);
    await shot('topology');
    await mouse.press('Table');
  });

  it('restricts access', async () => {
    await mouse.tab('Access');
    await page.getByText(/^Your address now/).waitFor();
    await mouse.press('Add');
    await mouse.press(/^Review and apply/);
    await new Asking(page, /Change who may connect/).confirm('Apply 1 change');
    await clusters.idle();
    await page.getByText('Open to every address').waitFor({ state: 'detached' });
    expect(rows()).toBe('10');
  });

  it('deletes it after a final backup, and brings it back from the bin', async () => {
    await mouse.menu('More actions for shop-db', 'Delete cluster…');
    const ask = new Asking(page, 'Delete shop-db');
    await ask.dialog.getByText(/final backup fails, nothing is deleted/).waitFor();
    await ask.type('shop-db');
    await ask.confirm('Delete cluster');
    await mouse.go('Recycle bin');
    await page.getByRole('row', { name: /^shop-db / }).waitFor({ timeout: 240_000 });
    await shot('bin');
    await mouse.press('Bring back…, shop-db');
    await new Asking(page, 'Bring shop-db back').confirm('Bring back');
    await mouse.go('Clusters');
    await page.getByRole('row', { name: /^Choose shop-db|shop-db / }).filter({ hasNotText: 'shop-db-restored' }).getByRole('status', { name: 'Running' }).waitFor({ timeout: 240_000 });
    await mouse.open('shop-db');
    await clusters.idle();
    await until(async () => rows() === '10', 60_000);
  });
});
