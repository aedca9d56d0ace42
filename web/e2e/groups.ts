import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Asking } from './pages/clusters';
import { SHOTS, until, world } from './world';

let page: Page;
const card = () => page.getByRole('region', { name: 'Group shop', exact: true });

/** A group and its schedules; it stays, so that the pages that follow have one to show. */
describe('a group', () => {
  beforeAll(async () => {
    world.cli('cluster', 'create', 'sessions', '--engine', 'valkey', '--mode', 'single');
    page = await world.newPage();
    await page.goto('/p/default/groups');
  });

  afterAll(() => world.close(page));

  it('is made of two clusters', async () => {
    await page.getByRole('button', { name: 'Create group' }).click();
    const ask = new Asking(page, 'Create group');
    await ask.dialog.getByRole('textbox', { name: 'Name' }).fill('shop');
    await ask.dialog.getByRole('checkbox', { name: 'kept' }).check();
    await ask.dialog.getByRole('checkbox', { name: 'sessions' }).check();
    await ask.confirm('Create group');
    await card().getByText('No schedule: the group is backed up by hand alone.').waitFor();
  });

  it('keeps at least two members', async () => {
    await card().getByRole('button', { name: 'More actions for shop' }).click();
    await page.getByRole('menuitem', { name: 'Edit members…' }).click();
    const ask = new Asking(page, 'Members of shop');
    await ask.dialog.getByRole('checkbox', { name: 'sessions' }).uncheck();
    await ask.dialog.getByText('Choose at least two clusters.').waitFor();
    await ask.dialog.getByText('sessions leaves.').waitFor();
    expect(await ask.button('Set members').isDisabled()).toBe(true);
    await ask.button('Cancel').click();
    await ask.dialog.waitFor({ state: 'detached' });
  });

  it('has a schedule set, shown as a week with its next runs, paused and removed', async () => {
    await card().getByRole('button', { name: 'Add schedule' }).click();
    expect(page.url()).toContain('schedule=');
    const ask = new Asking(page, 'Add a schedule to shop');
    await ask.dialog.getByRole('textbox', { name: 'Name' }).fill('nightly');
    await ask.dialog.getByRole('group', { name: 'Hours' }).getByRole('button', { name: '15:00' }).click();
    await until(async () => (await ask.dialog.getByRole('region', { name: 'What comes of it' }).getByRole('listitem').count()) === 5, 20_000);
    await ask.confirm('Save schedule');
    const row = card().getByRole('listitem').filter({ hasText: 'nightly' });
    await row.getByText('every day at 03:00, 15:00').waitFor();
    await row.getByText(/^next /).waitFor();
    await card().getByRole('table', { name: 'When shop is backed up, by day and hour' }).waitFor();
    // The schedules of its members stay their own, and their pages as they were.
    await page.goto('/p/default/clusters/kept/backups');
    await page.getByRole('region', { name: 'Schedules', exact: true }).getByText('default').first().waitFor();
    expect(await page.getByText('nightly').count()).toBe(0);
    await page.goto('/p/default/groups');
    await row.getByRole('button', { name: 'Pause' }).click();
    await row.getByRole('status', { name: 'Paused' }).waitFor();
    await row.getByRole('button', { name: 'More actions for the schedule nightly of shop' }).click();
    await page.getByRole('menuitem', { name: 'Edit…' }).click();
    const edit = new Asking(page, 'Edit the schedule nightly');
    await edit.dialog.getByRole('group', { name: 'Hours' }).getByRole('button', { name: '15:00' }).click();
    await edit.confirm('Save schedule');
    await row.getByText('every day at 03:00 ').waitFor();
    await row.getByRole('button', { name: 'More actions for the schedule nightly of shop' }).click();
    await page.getByRole('menuitem', { name: 'Remove…' }).click();
    const remove = new Asking(page, 'Remove the schedule nightly');
    await remove.dialog.getByText('No more backups of the group shop').waitFor();
    await remove.confirm('Remove schedule');
    await row.waitFor({ state: 'detached' });
  });

  it('is backed up as a whole', async () => {
    world.cli('schedule', 'set', '--group', 'shop', '--name', 'weekly', '--days', 'sun');
    await card().getByRole('listitem').filter({ hasText: 'weekly' }).getByText('Sun at 03:00').waitFor();
    await card().getByRole('button', { name: 'Back up group now, shop' }).click();
    await new Asking(page, 'Back up shop').confirm('Back up group now');
    await card().getByText(/^Complete to/).waitFor({ timeout: 120_000 });
    for (const name of ['kept', 'sessions']) await card().getByRole('img', { name: new RegExp(`^${name}, .*: part there$`) }).waitFor();
    await page.screenshot({ path: join(SHOTS, 'group.png'), fullPage: true });
  });
});
