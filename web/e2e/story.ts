import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Asking, Clusters } from './pages/clusters';
import { PERSON, SHOTS, until, world } from './world';

let page: Page;
let clusters: Clusters;
/** What the page shows once is needed later. */
let url = '';

const psql = (sql: string) => execFileSync('psql', [url, '-qAtX', '-v', 'ON_ERROR_STOP=1', '-c', sql], { encoding: 'utf8', timeout: 30_000 }).trim();

beforeAll(async () => {
  await world.start();
  page = await world.newPage({ fresh: true });
  clusters = new Clusters(page);
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await page.screenshot({ path: join(SHOTS, 'failed.png') }).catch(() => undefined);
});

afterAll(() => world.stop());

describe('the story of a cluster', () => {
  it('sets up the administrator by the link that is printed, once', async () => {
    expect(world.link).toMatch(/\/welcome#token=/);
    await page.goto(world.link);
    await page.getByText('This link works once').waitFor();
    expect(page.url()).not.toContain('token');
    await page.getByRole('textbox', { name: 'Name' }).fill(PERSON.name);
    await page.getByRole('textbox', { name: 'E-mail' }).fill(PERSON.email);
    await page.getByLabel('Password', { exact: true }).fill('short');
    await page.getByRole('button', { name: 'Create administrator' }).click();
    await page.getByText('Use 12 characters or more.').waitFor();
    await page.getByLabel('Password', { exact: true }).fill(PERSON.password);
    await page.getByRole('button', { name: 'Create administrator' }).click();
    await page.getByText('No clusters yet').waitFor();
    await page.screenshot({ path: join(SHOTS, 'empty.png') });
    const other = await world.newPage({ fresh: true });
    await other.goto(world.link);
    await other.getByText('This link was used or has expired').waitFor();
    await world.close(other);
  });

  it('signs in, tells no one which of both was wrong, and goes to the page that was asked for', async () => {
    const other = await world.newPage({ fresh: true });
    await other.goto('/p/default/clusters?sort=-name');
    await other.getByRole('heading', { name: 'Sign in' }).waitFor();
    await other.getByLabel('E-mail or user name').fill(PERSON.email);
    await other.getByLabel('Password', { exact: true }).fill('not this one at all');
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByText('User name or password is wrong.').waitFor();
    await other.getByLabel('Password', { exact: true }).fill(PERSON.password);
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByRole('heading', { level: 1, name: 'Clusters' }).waitFor();
    expect(other.url()).toContain('sort=-name');
    await world.remember(other);
    await world.close(other);
  });

  it('deploys PostgreSQL with a replica and sees it become ready', async () => {
    await page.getByRole('button', { name: 'Create cluster' }).click();
    await page.getByRole('radio', { name: 'PostgreSQL' }).check();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('Both nodes would be on this machine. Losing it loses them together.').waitFor();
    await page.getByRole('radio', { name: /^Plan / }).waitFor();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Create cluster' }).click();
    await page.getByText('Use 3 to 40 characters').waitFor();
    await page.getByRole('textbox', { name: 'Name' }).fill('orders-db');
    await page.reload();
    expect(await page.getByRole('textbox', { name: 'Name' }).inputValue()).toBe('orders-db');
    await page.getByRole('button', { name: 'Create cluster' }).click();
    await page.getByRole('heading', { level: 1, name: /orders-db/ }).waitFor();
    await clusters.status('Running').waitFor({ timeout: 180_000 });
    await page.getByText('Not recoverable: no good backup yet.').waitFor();
    await page.screenshot({ path: join(SHOTS, 'ready.png') });
  });

  it('shows the password on request and connects with it', async () => {
    await page.getByText('The password is left out until it is shown.').waitFor();
    await page.getByRole('button', { name: 'Show password' }).click();
    await page.getByText('this look is in the audit log').waitFor();
    url = await page.getByRole('textbox', { name: 'URL snippet' }).inputValue();
    await page.getByRole('button', { name: 'Hide password' }).click();
    psql('create table orders (id int primary key); insert into orders select generate_series(1, 1000)');
    expect(psql('select count(*) from orders')).toBe('1000');
    expect(await page.content()).not.toContain(decodeURIComponent(new URL(url).password));
  });

  it('backs it up, and the page says that it can be got back', async () => {
    await page.getByRole('button', { name: 'Back up now' }).first().click();
    const ask = new Asking(page, 'Back up orders-db');
    await ask.dialog.getByRole('textbox', { name: 'Description' }).fill('before the story goes on');
    await ask.confirm('Back up now');
    await page.getByText(/Recoverable to .* today; 1 of 1 copy verified/).waitFor({ timeout: 180_000 });
    await clusters.idle();
  });

  it('promotes the replica with its plan and its name typed; clients find it at the same address', async () => {
    await clusters.open('orders-db', 'nodes');
    await page.getByRole('button', { name: 'More actions for orders-db-1' }).click();
    expect(await page.getByRole('menuitem', { name: /Promote…/ }).getAttribute('aria-disabled')).toBe('true');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'More actions for orders-db-2' }).click();
    await page.getByRole('menuitem', { name: /Promote…/ }).click();
    const ask = new Asking(page, 'Promote orders-db-2');
    await ask.dialog.getByText('Steps (').waitFor();
    expect(await ask.button('Promote orders-db-2').isDisabled()).toBe(true);
    await ask.type('orders-db-2');
    await ask.confirm('Promote orders-db-2');
    await clusters.row('orders-db-2').getByText('Primary', { exact: true }).waitFor({ timeout: 180_000 });
    await clusters.idle();
    expect(psql('select count(*) from orders')).toBe('1000');
    psql('insert into orders values (1001)');
  });

  it('adds a node, which is seeded before it serves', async () => {
    await page.getByRole('button', { name: 'Add node' }).click();
    await new Asking(page, 'Add a node to orders-db').confirm('Add node');
    await clusters.row('orders-db-3').getByRole('status', { name: 'Running' }).waitFor({ timeout: 180_000 });
    await page.getByRole('button', { name: 'Topology' }).click();
    await page.getByRole('button', { name: /orders-db-3 Running · Replica/ }).waitFor();
    expect(await page.getByTestId('topology-edge').count()).toBe(2);
    await page.screenshot({ path: join(SHOTS, 'topology.png') });
    await page.getByRole('button', { name: 'Table' }).click();
    await clusters.idle();
  });

  it('shows a node with what it says', async () => {
    await page.getByRole('link', { name: 'orders-db-3' }).click();
    const drawer = page.getByRole('dialog', { name: 'orders-db-3' });
    await until(async () => ((await drawer.getByLabel('Lines of orders-db-3').textContent()) ?? '').includes('ready to accept'), 20_000);
    expect(page.url()).toContain('node=orders-db-3');
    await page.keyboard.press('Escape');
    await drawer.waitFor({ state: 'detached' });
  });

  it('restricts access: it warns who would lock themselves out, and cuts who no longer fits', async () => {
    await clusters.open('orders-db', 'access');
    await page.getByText('Open to every address').waitFor();
    await page.getByLabel('Address or range').fill('300.1.1.1');
    await page.getByRole('button', { name: 'Add', exact: true }).last().click();
    await page.getByText('Not an address or range').waitFor();
    await page.getByLabel('Address or range').fill('203.0.113.0/24');
    await page.getByRole('button', { name: 'Add', exact: true }).last().click();
    await page.getByRole('button', { name: /Review and apply/ }).click();
    const ask = new Asking(page, /Change who may connect/);
    await ask.dialog.getByText('you would lock yourself out').waitFor();
    expect(await ask.button(/^Apply/).isDisabled()).toBe(true);
    await ask.dialog.getByRole('checkbox').check();
    await ask.confirm(/^Apply/);
    await until(async () => refused(), 60_000);
    await clusters.idle();
    await page.reload();
    await page.getByRole('button', { name: 'Remove 203.0.113.0/24' }).click();
    await page.getByRole('button', { name: /Review and apply/ }).click();
    await new Asking(page, /Change who may connect/).confirm(/^Apply/);
    await until(async () => !refused(), 60_000);
  });

  it('changes a setting with its review', async () => {
    await clusters.open('orders-db', 'settings');
    await page.getByRole('textbox', { name: 'work_mem', exact: true }).fill('1kB');
    await page.keyboard.press('Tab');
    await page.getByText('Between 64kB and 64GB').waitFor();
    await page.getByRole('textbox', { name: 'work_mem', exact: true }).fill('8MB');
    await page.getByRole('button', { name: 'Review…' }).click();
    await new Asking(page, /Change settings/).confirm('Apply');
    await until(async () => psql('show work_mem') === '8MB', 90_000);
    await clusters.idle();
  });

  it('draws what the nodes do', async () => {
    await clusters.open('orders-db', 'metrics');
    await page.getByRole('img', { name: /^Memory of 3 nodes/ }).waitFor({ timeout: 60_000 });
    await page.screenshot({ path: join(SHOTS, 'metrics.png') });
  });

  it('refuses to delete what is protected, then deletes it by its typed name after a final backup', async () => {
    await clusters.open('orders-db');
    await page.getByRole('switch', { name: 'Termination protection' }).press('Space');
    await page.getByText('cannot be stopped or deleted').waitFor();
    expect(await page.getByRole('button', { name: /Delete cluster…/ }).getAttribute('aria-disabled')).toBe('true');
    await page.getByRole('switch', { name: 'Termination protection' }).press('Space');
    await page.getByText('can be stopped and deleted').waitFor();
    world.cli('cluster', 'create', 'kept', '--engine', 'postgres', '--mode', 'primary-replica', '--replicas', '1');
    await page.getByRole('button', { name: /Delete cluster…/ }).click();
    const ask = new Asking(page, 'Delete orders-db');
    await ask.dialog.getByRole('textbox', { name: 'Type orders-db to confirm' }).fill('orders-d');
    expect(await ask.button('Delete cluster').isDisabled()).toBe(true);
    await ask.type('orders-db');
    await page.screenshot({ path: join(SHOTS, 'delete.png') });
    await ask.confirm('Delete cluster');
    await page.getByText(/^(Deleted|There is no cluster named)/).first().waitFor({ timeout: 180_000 });
    await clusters.list();
    await clusters.row('kept').waitFor();
    expect(await clusters.row('orders-db').count()).toBe(0);
  });
});

function refused(): boolean {
  try {
    psql('select 1');
    return false;
  } catch {
    return true;
  }
}
