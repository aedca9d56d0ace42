import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { SHOTS, world } from './world';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const PAGES: [string, string, ((page: Page) => Promise<void>)?][] = [
  ['sign-in', '/sign-in'],
  ['clusters', '/p/default/clusters'],
  ['create', '/p/default/clusters/new'],
  ['create-2', '/p/default/clusters/new?step=2'],
  ['create-3', '/p/default/clusters/new?step=3&name=shop'],
  ['overview', '/p/default/clusters/kept'],
  ['nodes', '/p/default/clusters/kept/nodes'],
  ['topology', '/p/default/clusters/kept/nodes?view=topology'],
  ['node', '/p/default/clusters/kept/nodes?node=kept-1'],
  ['metrics', '/p/default/clusters/kept/metrics'],
  ['access', '/p/default/clusters/kept/access'],
  ['settings', '/p/default/clusters/kept/settings'],
  ['terminal-closed', '/p/default/clusters/kept/terminal'],
  [
    'terminal-open',
    '/p/default/clusters/kept/terminal',
    async (page) => {
      await page.getByRole('button', { name: 'Open console' }).click();
      await page.getByTestId('terminal-screen').getByText('kept=>').first().waitFor();
    },
  ],
  ['backups', '/p/default/clusters/kept/backups'],
  ['restore', '/p/default/clusters/kept/backups?restore=newest'],
  ['schedule', '/p/default/clusters/kept/backups?schedule=default'],
  ['restores', '/p/default/clusters/kept/restores'],
  ['audit-of-cluster', '/p/default/clusters/kept/audit'],
  ['all-backups', '/p/default/backups'],
  ['groups', '/p/default/groups'],
  ['storages', '/p/default/storages'],
  ['operations', '/p/default/operations?show=all'],
  ['alerts', '/p/default/alerts'],
  ['bin', '/p/default/bin'],
  ['audit', '/p/default/audit'],
  ['members', '/p/default/members'],
  ['tokens', '/p/default/tokens'],
  ['recovery', '/p/default/recovery'],
  ['profile', '/me'],
  ['delete', '/p/default/clusters/kept', (page) => page.getByRole('button', { name: /Delete cluster…/ }).click()],
  ['palette', '/p/default/clusters', (page) => page.keyboard.press('Control+k')],
  ['points-in-time', '/p/default/clusters/kept/backups', (page) => page.getByRole('button', { name: /points in time…$/ }).click()],
  ['rules', '/p/default/clusters/kept/backups', (page) => page.getByRole('button', { name: 'Change rules…' }).click()],
  ['assertions', '/p/default/clusters/kept/backups', (page) => page.getByRole('button', { name: /assertions…$/ }).click()],
  ['add-storage', '/p/default/storages', (page) => page.getByRole('button', { name: 'Add storage' }).first().click()],
  ['invite', '/p/default/members', (page) => page.getByRole('button', { name: 'Invite member' }).click()],
  ['create-token', '/p/default/tokens', (page) => page.getByRole('button', { name: 'Create token' }).first().click()],
  ['back-up', '/p/default/clusters/kept', (page) => page.getByRole('button', { name: 'Back up now' }).first().click()],
  ['promote', '/p/default/clusters/kept/nodes', promote],
  ['link', '/welcome#token=none'],
  ['missing', '/p/default/clusters/nowhere'],
];

async function promote(page: Page) {
  await page.getByRole('button', { name: 'More actions for kept-2' }).click();
  await page.getByRole('menuitem', { name: /Promote/ }).click();
}

interface Violation {
  id: string;
  nodes: { target: string[]; failureSummary: string }[];
}

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const run = (globalThis as unknown as { axe: { run(options: object): Promise<{ violations: unknown[] }> } }).axe.run;
    return (await run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })).violations;
  });
  return (found as Violation[]).flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}: ${n.failureSummary.split('\n')[1]?.trim()}`));
}

describe.each([
  ['light', false, 1440],
  ['dark', true, 1440],
  ['light', false, 390],
  ['dark', true, 390],
] as const)('%s, %s, %d px', (scheme, dark, width) => {
  it.each(PAGES)('%s can be used by everybody', async (name, path, act) => {
    const page = await world.newPage({ width, dark });
    const said: string[] = [];
    page.on('console', (m) => m.type() === 'error' && !/status of 40[14]/.test(m.text()) && said.push(m.text()));
    page.on('pageerror', (e) => said.push(e.message));
    await page.goto(path);
    await page.getByRole('heading', { level: 1 }).first().waitFor();
    await page.waitForTimeout(1500);
    await act?.(page);
    if (act) await page.waitForTimeout(800);
    await page.screenshot({ path: join(SHOTS, `${name}-${width}-${scheme}.png`) });
    expect(await violations(page)).toEqual([]);
    expect(said).toEqual([]);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(wider).toBeLessThanOrEqual(0);
    await world.close(page);
  });
});
