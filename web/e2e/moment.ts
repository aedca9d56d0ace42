import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Asking, Clusters } from './pages/clusters';
import { SHOTS, until, world } from './world';

let page: Page;
let clusters: Clusters;
let url = '';

const psql = (sql: string) => execFileSync('psql', [url, '-qAtX', '-v', 'ON_ERROR_STOP=1', '-c', sql], { encoding: 'utf8', timeout: 30_000 }).trim();
const seconds = (at: number) => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
const card = () => page.getByRole('region', { name: 'How backups are kept and proved' });

interface Kept {
  from?: string;
  to?: string;
}
const kept = (): Kept => JSON.parse(world.cli('cluster', 'pitr', 'show', 'moments', '--output', 'json')) as Kept;

describe('any moment', () => {
  beforeAll(async () => {
    world.cli('cluster', 'create', 'moments', '--engine', 'postgres', '--mode', 'single');
    url = (JSON.parse(world.cli('cluster', 'credentials', 'moments', '--output', 'json')) as { url: string }).url;
    psql('create table entries (id int primary key)');
    page = await world.newPage();
    clusters = new Clusters(page);
    await clusters.open('moments', 'backups');
  });

  afterAll(async () => {
    await world.close(page);
    for (const name of ['moments-restored', 'moments']) world.cli('cluster', 'delete', name, '--skip-final-backup', '--yes');
  });

  it('is switched on behind its plan, and says its window and what each storage holds', async () => {
    await card().getByText('only the moments of backups can be restored').waitFor();
    await card().getByRole('button', { name: 'Turn on points in time…' }).click();
    const ask = new Asking(page, 'Points in time of moments');
    await ask.dialog.getByRole('textbox', { name: 'Keep at least' }).fill('0');
    await page.keyboard.press('Tab');
    await ask.dialog.getByRole('textbox', { name: 'Keep at least' }).fill('3');
    await ask.dialog.getByText(/its log is kept as it is written/i).waitFor();
    await page.screenshot({ path: join(SHOTS, 'points-in-time.png') });
    await ask.confirm('Keep the log');
    await card().getByText(/Any second from .* can be restored/).waitFor({ timeout: 120_000 });
    await card().getByText('the log is kept 3 days').waitFor();
    await card().getByRole('list', { name: 'Where the log is stored' }).getByText(/^local: stored up to/).waitFor({ timeout: 60_000 });
    await clusters.idle();
  });

  it('restores to a second between two writes, from the keyboard, at an address that can be sent', async () => {
    psql('insert into entries select generate_series(1, 100)');
    await new Promise((resolve) => setTimeout(resolve, 2100));
    const at = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 2100));
    psql('insert into entries select generate_series(101, 200)');
    await until(async () => Date.parse(kept().to ?? '') > at, 120_000, 1000);
    await clusters.open('moments', 'backups?restore=newest');
    const dialog = page.getByRole('dialog', { name: 'Restore moments' });
    await dialog.getByRole('radio', { name: 'Moment', exact: true }).press('Space');
    const slider = dialog.getByRole('slider', { name: 'Moment' });
    const now = async () => Number(await slider.getAttribute('aria-valuenow'));
    const end = await now();
    await slider.press('Home');
    await until(async () => (await now()) < end, 5000);
    expect(await now()).toBe(Number(await slider.getAttribute('aria-valuemin')));
    await slider.press('End');
    await until(async () => (await now()) === Number(await slider.getAttribute('aria-valuemax')), 5000);
    const field = dialog.getByLabel(/^Day and time/);
    await field.fill('2001-01-01T00:00:00');
    await dialog.getByText(/^The log begins/).waitFor();
    expect(await dialog.getByRole('button', { name: 'Restore to a new cluster' }).isDisabled()).toBe(true);
    const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
    await field.fill(local);
    await dialog.getByText(`= ${seconds(at).replace('T', ' ').replace('Z', '')} UTC`).waitFor();
    expect(decodeURIComponent(page.url())).toContain(`at=${seconds(at)}`);
    await dialog.getByText(/moments-restored gets the data as it was at/).waitFor();
    await page.screenshot({ path: join(SHOTS, 'moment.png') });
    await page.reload();
    await dialog.getByText(/moments-restored gets the data as it was at/).waitFor();
    await dialog.getByRole('button', { name: 'Restore to a new cluster' }).press('Enter');
    await dialog.waitFor({ state: 'detached' });
    await until(async () => count('moments-restored') === '100', 180_000, 1000);
    expect(psql('select count(*) from entries')).toBe('200');
  });

  it('changes the rules, and lists what they would delete before they do', async () => {
    await clusters.idle();
    for (let n = 0; n < 3; n += 1) world.cli('backup', 'create', 'moments', '--description', `by hand ${n}`);
    await card().getByRole('button', { name: 'Change rules…' }).click();
    const ask = new Asking(page, 'Rules for the backups of moments');
    await ask.dialog.getByRole('radio', { name: 'The primary' }).check();
    await ask.dialog.getByRole('textbox', { name: /^Always keep/ }).fill('1');
    await ask.dialog.getByRole('textbox', { name: /^Of those made by hand/ }).fill('2');
    await ask.dialog.getByText(/backups go/).waitFor();
    await page.screenshot({ path: join(SHOTS, 'rules.png') });
    const typed = ask.dialog.getByRole('textbox', { name: 'Type moments to confirm' });
    if (await typed.count()) await ask.type('moments');
    await ask.confirm('Save rules');
    await card().getByText('Read from the primary; the newest 1 good one always stay').waitFor();
    expect((JSON.parse(world.cli('cluster', 'backup-policy', 'moments', '--output', 'json')) as { from: string }).from).toBe('primary');
  });

  it('keeps what drills have to prove, tried on the live data before', async () => {
    await card().getByRole('button', { name: 'Add assertions…' }).click();
    const ask = new Asking(page, 'What drills of moments prove');
    const form = ask.dialog.getByRole('group', { name: 'New assertion' });
    await form.getByRole('button', { name: 'Add to the list' }).click();
    await form.getByText('Say what is asked.').waitFor();
    await form.getByRole('textbox', { name: 'Name' }).fill('entries');
    await form.getByRole('textbox', { name: 'Question' }).fill('select count(*) from entries');
    await form.getByRole('textbox', { name: 'Expected' }).fill('1000');
    await form.getByRole('button', { name: 'Add to the list' }).click();
    await ask.dialog.getByRole('button', { name: 'Try on the live data' }).click();
    await ask.dialog.getByText('Not all hold of the data that is live.').waitFor();
    await page.screenshot({ path: join(SHOTS, 'assertions.png') });
    await ask.dialog.getByRole('button', { name: 'Edit entries' }).click();
    await ask.dialog.getByRole('textbox', { name: 'Expected' }).fill('200');
    await ask.dialog.getByRole('button', { name: 'Change in the list' }).click();
    await ask.dialog.getByRole('button', { name: 'Try on the live data' }).click();
    await ask.dialog.getByText('All hold of the data that is live.').waitFor();
    await ask.confirm('Save assertions');
    await card().getByText('1 assertion of your own: entries.').waitFor();
    await card().getByRole('button', { name: 'Change assertions…' }).click();
    await ask.dialog.getByRole('button', { name: 'Delete entries' }).click();
    await ask.confirm('Save assertions');
    await card().getByText('No assertions of your own about the data.').waitFor();
  });

  it('is switched off again; what was kept stays restorable', async () => {
    await card().getByRole('button', { name: 'Change points in time…' }).click();
    const ask = new Asking(page, 'Points in time of moments');
    await ask.dialog.getByRole('radio', { name: 'Off' }).check();
    await ask.confirm('Stop keeping the log');
    await card().getByText(/^Off\. Any second from .* can be restored/).waitFor({ timeout: 60_000 });
    await clusters.idle();
  });
});

function count(cluster: string): string {
  try {
    const at = (JSON.parse(world.cli('cluster', 'credentials', cluster, '--output', 'json')) as { url: string }).url;
    return execFileSync('psql', [at, '-qAtX', '-c', 'select count(*) from entries'], { encoding: 'utf8', timeout: 30_000, stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}
