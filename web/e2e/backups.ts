import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Asking, Clusters } from './pages/clusters';
import { SHOTS, until, world } from './world';

let page: Page;
let clusters: Clusters;
let url = '';

const psql = (sql: string) => execFileSync('psql', [url, '-qAtX', '-v', 'ON_ERROR_STOP=1', '-c', sql], { encoding: 'utf8', timeout: 30_000 }).trim();

/** The newest is on top. */
const newest = () => page.getByRole('row').filter({ hasText: 'by the browser' }).first();

describe('the backups of a cluster', () => {
  beforeAll(async () => {
    world.cli('cluster', 'create', 'ledger', '--engine', 'postgres', '--mode', 'single');
    url = (JSON.parse(world.cli('cluster', 'credentials', 'ledger', '--output', 'json')) as { url: string }).url;
    psql('create table entries (id int primary key); insert into entries select generate_series(1, 500)');
    page = await world.newPage();
    clusters = new Clusters(page);
  });

  // What comes after looks at the other clusters alone.
  afterAll(() => {
    for (const name of ['ledger-again', 'ledger']) world.cli('cluster', 'delete', name, '--skip-final-backup', '--yes');
  });

  it('sets a schedule, shows its runs before it is saved, pauses and removes it', async () => {
    await clusters.open('ledger', 'backups');
    await page.getByRole('button', { name: 'Add schedule' }).click();
    const ask = new Asking(page, 'Add a schedule to ledger');
    await ask.button('Save schedule').click();
    await ask.dialog.getByText('Use a-z, 0-9 and -').waitFor();
    await ask.dialog.getByRole('textbox', { name: 'Name' }).fill('noon');
    await ask.dialog.getByRole('group', { name: 'Days' }).getByRole('button', { name: 'Sun' }).click();
    await ask.dialog.getByRole('group', { name: 'Hours' }).getByRole('button', { name: '12:00' }).click();
    await until(async () => (await ask.dialog.getByRole('region', { name: 'What comes of it' }).getByRole('listitem').count()) === 5, 20_000);
    await page.screenshot({ path: join(SHOTS, 'schedule.png') });
    await ask.confirm('Save schedule');
    const row = page.getByRole('listitem').filter({ hasText: 'noon' });
    await row.getByText('Mon, Tue, Wed, Thu, Fri, Sat at 03:00, 12:00').waitFor();
    await row.getByRole('button', { name: 'Pause' }).click();
    await row.getByRole('status', { name: 'Paused' }).waitFor();
    await row.getByRole('button', { name: 'More actions for the schedule noon' }).click();
    await page.getByRole('menuitem', { name: 'Remove…' }).click();
    await new Asking(page, 'Remove the schedule noon').confirm('Remove schedule');
    await row.waitFor({ state: 'detached' });
  });

  it('backs up and shows where it is, how it was checked and how it is opened without Mainstay', async () => {
    await page.getByRole('button', { name: 'Back up now' }).first().click();
    const ask = new Asking(page, 'Back up ledger');
    await ask.dialog.getByRole('textbox', { name: 'Description' }).fill('by the browser');
    await ask.confirm('Back up now');
    await newest().getByRole('status', { name: 'Completed' }).waitFor({ timeout: 120_000 });
    await newest().getByRole('link').first().click();
    const drawer = page.getByRole('dialog', { name: 'Backup' });
    await drawer.getByText('Read back from the storage').waitFor();
    await drawer.getByText('Never drilled').waitFor();
    await drawer.getByText(/restic -r .* restore/).first().waitFor();
    expect(page.url()).toContain('backup=bk_');
    await page.screenshot({ path: join(SHOTS, 'backup.png') });
  });

  it('proves it by a drill', async () => {
    await page.getByRole('dialog', { name: 'Backup' }).getByRole('button', { name: 'Run a drill' }).click();
    await new Asking(page, /^Run a drill/).confirm('Run a drill');
    await page.getByRole('dialog', { name: 'Backup' }).getByText(/Drill restored in/).waitFor({ timeout: 120_000 });
    await page.keyboard.press('Escape');
    await newest().getByRole('status', { name: 'Drilled' }).waitFor();
    await clusters.idle();
  });

  it('restores it into the cluster behind its plan, and undoes that', async () => {
    psql('insert into entries select generate_series(501, 700)');
    await page.getByRole('button', { name: 'Restore…' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'Restore ledger' });
    await dialog.getByText('Nothing is lost: no other cluster is touched.').waitFor();
    await dialog.getByRole('radio', { name: /This cluster/ }).check();
    await dialog.getByText(/Everything written to ledger since/).waitFor();
    const button = dialog.getByRole('button', { name: 'Restore this cluster' });
    expect(await button.isDisabled()).toBe(true);
    await dialog.getByRole('textbox', { name: 'Type ledger to confirm' }).fill('ledger');
    await page.screenshot({ path: join(SHOTS, 'restore.png') });
    await button.click();
    await dialog.waitFor({ state: 'detached' });
    await until(async () => counted() === '500', 120_000);
    await clusters.idle();
    await clusters.open('ledger', 'restores');
    const row = page.getByRole('row').filter({ hasText: 'Completed' }).first();
    await row.getByRole('button', { name: 'Undo restore…' }).click();
    const ask = new Asking(page, 'Undo the restore of ledger');
    await ask.type('ledger');
    await ask.confirm('Undo restore');
    await until(async () => counted() === '700', 120_000);
    await page.getByRole('status', { name: 'Undone' }).waitFor({ timeout: 60_000 });
    await clusters.idle();
  });

  it('restores it as a new cluster, from the keyboard', async () => {
    await clusters.open('ledger', 'backups?restore=newest');
    const dialog = page.getByRole('dialog', { name: 'Restore ledger' });
    await dialog.getByRole('slider', { name: 'Backup on the timeline' }).press('Home');
    await dialog.getByRole('textbox', { name: 'Name of the new cluster' }).fill('ledger');
    await dialog.getByText('The name ledger is taken').waitFor();
    await dialog.getByRole('textbox', { name: 'Name of the new cluster' }).fill('ledger-again');
    await dialog.getByText(/ledger-again gets the data of/).waitFor();
    await dialog.getByRole('textbox', { name: 'Name of the new cluster' }).press('Tab');
    await dialog.getByRole('button', { name: 'Restore to a new cluster' }).press('Enter');
    await dialog.waitFor({ state: 'detached' });
    await until(async () => running('ledger-again'), 120_000);
  });

  it('goes to another storage, which then cannot be removed', async () => {
    const place = mkdtempSync(join(tmpdir(), 'mainstay-web-place-'));
    await page.goto('/p/default/storages');
    await page.getByRole('button', { name: 'Add storage' }).click();
    const add = new Asking(page, 'Add storage');
    await add.dialog.getByRole('button', { name: /^Local/ }).click();
    await add.dialog.getByRole('textbox', { name: 'Name' }).fill('shelf');
    await add.dialog.getByRole('textbox', { name: 'Directory' }).fill('not/absolute');
    await add.button('Check and add storage').click();
    await add.dialog.getByText(/absolute/).last().waitFor();
    await add.dialog.getByRole('textbox', { name: 'Directory' }).fill(join(place, 'shelf'));
    await add.confirm('Check and add storage');
    await page.getByRole('region', { name: 'Storage shelf' }).getByText(/^Well, checked/).waitFor();
    await clusters.open('ledger', 'backups');
    await newest().getByRole('button', { name: /^More actions/ }).click();
    await page.getByRole('menuitem', { name: 'Copy to storage…' }).click();
    const copy = new Asking(page, /^Copy the backup/);
    await copy.dialog.getByRole('combobox', { name: 'Storage' }).click();
    await page.getByRole('option', { name: 'shelf' }).click();
    await until(async () => copy.button('Copy').isEnabled(), 20_000);
    await copy.confirm('Copy');
    await newest().getByRole('img', { name: 'shelf: completed' }).waitFor({ timeout: 60_000 });
    await page.goto('/p/default/storages');
    await page.getByRole('button', { name: 'More actions for shelf' }).click();
    await page.getByRole('menuitem', { name: 'Remove…' }).click();
    const remove = new Asking(page, 'Remove shelf');
    await remove.type('shelf');
    await remove.button('Remove storage').click();
    await remove.dialog.getByText(/storage shelf holds/).waitFor();
    await remove.button('Cancel').click();
  });

  it('says that a download is not encrypted before it begins', async () => {
    await clusters.open('ledger', 'backups');
    await newest().getByRole('button', { name: /^More actions/ }).click();
    await page.getByRole('menuitem', { name: 'Download…' }).click();
    const ask = new Asking(page, 'Download a backup of ledger');
    await ask.dialog.getByText('This file is not encrypted').waitFor();
    const begun = page.waitForEvent('download');
    await ask.button('Download unencrypted file').click();
    const file = await (await begun).path();
    expect(readFileSync(file).subarray(0, 4).toString('hex')).toBe('28b52ffd');
  });

  it('deletes it when the cluster’s name was typed', async () => {
    await newest().getByRole('button', { name: /^More actions/ }).click();
    await page.getByRole('menuitem', { name: 'Pin', exact: true }).click();
    await newest().getByRole('img', { name: 'Pinned' }).waitFor();
    await newest().getByRole('button', { name: /^More actions/ }).click();
    expect(await page.getByRole('menuitem', { name: /Delete…/ }).getAttribute('aria-disabled')).toBe('true');
    await page.getByRole('menuitem', { name: 'Unpin', exact: true }).click();
    await newest().getByRole('img', { name: 'Pinned' }).waitFor({ state: 'detached' });
    await newest().getByRole('button', { name: /^More actions/ }).click();
    await page.getByRole('menuitem', { name: 'Delete…' }).click();
    const ask = new Asking(page, /^Delete the backup/);
    await ask.type('ledger');
    await ask.confirm('Delete backup');
    await newest().waitFor({ state: 'detached', timeout: 60_000 });
  });
});

function counted(): string {
  try {
    return psql('select count(*) from entries');
  } catch {
    return '';
  }
}

function running(name: string): boolean {
  const all = JSON.parse(world.cli('cluster', 'list', '--output', 'json')) as { name: string; status: string }[];
  return all.some((c) => c.name === name && c.status === 'running');
}
