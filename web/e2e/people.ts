import { expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { Asking, Clusters } from './pages/clusters';
import { PERSON, until, world } from './world';

const GUEST = { name: 'Bob', email: 'bob@example.org', password: 'a staple of horses' };

async function signIn(page: Page, email: string, password: string) {
  await page.getByLabel('E-mail or user name').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

/** The link that a dialog shows once. */
async function linkIn(page: Page): Promise<string> {
  const link = await page.getByRole('alertdialog').getByRole('textbox', { name: 'the link' }).inputValue();
  await page.getByRole('button', { name: 'I have copied it' }).click();
  return link;
}

it('invites by a link that works once, and shows the guest what the role allows', async () => {
  const page = await world.newPage();
  await page.goto('/p/default/members');
  await page.getByRole('button', { name: 'Invite member' }).click();
  const ask = new Asking(page, 'Invite to default');
  await ask.dialog.getByRole('textbox', { name: 'E-mail' }).fill(GUEST.email);
  await ask.button('Invite').click();
  const link = await linkIn(page);
  const guest = await world.newPage({ fresh: true });
  await guest.goto(link);
  await guest.getByText('default invited you as operator.').waitFor();
  expect(guest.url()).not.toContain('token');
  await guest.getByRole('textbox', { name: 'Name', exact: true }).fill(GUEST.name);
  await guest.getByLabel('Password', { exact: true }).fill(GUEST.password);
  await guest.getByRole('button', { name: 'Join' }).click();
  await guest.getByRole('row', { name: /kept/ }).waitFor();
  const create = guest.getByRole('button', { name: /^Create cluster/ });
  expect(await create.getAttribute('aria-disabled')).toBe('true');
  await guest.goto('/p/default/clusters/kept/backups?restore=newest&to=this');
  await guest.getByText('Restoring into a cluster that exists needs the role admin.').waitFor();
  await world.close(guest);
  const late = await world.newPage({ fresh: true });
  await late.goto(link);
  await late.getByText('This link was used or has expired').waitFor();
  await world.close(late);
  await page.getByRole('row', { name: /Bob/ }).waitFor();
  await world.close(page);
});

it('sets a new password by a link, once; the old one and its sessions are gone', async () => {
  const guest = await world.newPage({ fresh: true });
  await guest.goto('/sign-in');
  await signIn(guest, GUEST.email, GUEST.password);
  await guest.getByRole('heading', { level: 1, name: 'Clusters' }).waitFor();
  const page = await world.newPage();
  await page.goto('/p/default/members');
  await page.getByRole('button', { name: 'More actions for Bob' }).click();
  await page.getByRole('menuitem', { name: 'Make a password link…' }).click();
  await new Asking(page, 'Make a password link for Bob').button('Make the link').click();
  const link = await linkIn(page);
  const later = await world.newPage({ fresh: true });
  await later.goto(link);
  await later.getByText(`Choose a new password for ${GUEST.email}.`).waitFor();
  await later.getByLabel('Password', { exact: true }).fill('another staple of horses');
  await later.getByRole('button', { name: 'Set password' }).click();
  await later.getByRole('heading', { level: 1, name: 'Clusters' }).waitFor();
  await guest.getByRole('link', { name: /^Storages/ }).dispatchEvent('click');
  await guest.getByRole('dialog', { name: 'Sign in again' }).waitFor({ timeout: 60_000 });
  await signIn(guest, GUEST.email, GUEST.password);
  await guest.getByText('User name or password is wrong.').waitFor();
  await signIn(guest, GUEST.email, 'another staple of horses');
  await guest.getByRole('dialog', { name: 'Sign in again' }).waitFor({ state: 'detached' });
  for (const p of [guest, page, later]) await world.close(p);
});

it('asks to sign in again over the page, and keeps the place and what was typed', async () => {
  const page = await world.newPage({ fresh: true });
  await page.goto('/p/default/clusters/new?step=3');
  await signIn(page, PERSON.email, PERSON.password);
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('half-typed');
  await page.context().clearCookies();
  // Whatever asks first finds out; a question over the page would catch a click.
  await page.getByRole('button', { name: 'Create cluster' }).dispatchEvent('click');
  const again = page.getByRole('dialog', { name: 'Sign in again' });
  await again.waitFor();
  await signIn(page, PERSON.email, PERSON.password);
  await again.waitFor({ state: 'detached' });
  expect(await page.getByRole('textbox', { name: 'Name', exact: true }).inputValue()).toBe('half-typed');
  expect(page.url()).toContain('step=3');
  await world.close(page);
});

it('tells the other tab when one signs out, and when one signs in again', async () => {
  const page = await world.newPage({ fresh: true });
  await page.goto('/sign-in');
  await signIn(page, PERSON.email, PERSON.password);
  await page.getByRole('row', { name: /kept/ }).waitFor();
  const other = await page.context().newPage();
  await other.goto('/p/default/clusters/kept/settings');
  await other.getByRole('textbox', { name: 'work_mem', exact: true }).fill('9MB');
  await page.getByRole('button', { name: /^You:/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await other.getByRole('dialog', { name: 'Sign in again' }).waitFor({ timeout: 5000 });
  await signIn(page, PERSON.email, PERSON.password);
  await page.getByRole('row', { name: /kept/ }).waitFor();
  await other.getByRole('dialog', { name: 'Sign in again' }).waitFor({ state: 'detached', timeout: 5000 });
  expect(await other.getByRole('textbox', { name: 'work_mem', exact: true }).inputValue()).toBe('9MB');
  await world.close(page);
});

it('shows in a second browser what the first one did', async () => {
  const [one, two] = [await world.newPage(), await world.newPage()];
  await new Clusters(one).open('kept');
  await new Clusters(two).open('kept');
  await two.getByRole('button', { name: /^Connection: Live/ }).waitFor();
  const seen: number[] = [];
  for (const [n, text] of ['cannot be stopped or deleted', 'can be stopped and deleted'].entries()) {
    await two.evaluate((words) => {
      const found = () => document.body.textContent?.includes(words);
      const w = window as unknown as { seen?: number };
      w.seen = undefined;
      const watch = new MutationObserver(() => {
        if (!found()) return;
        w.seen = Date.now();
        watch.disconnect();
      });
      watch.observe(document.body, { subtree: true, childList: true, characterData: true });
    }, text);
    await one.getByRole('switch', { name: 'Termination protection' }).press('Space');
    await one.getByText(text).waitFor();
    const acted = Date.now();
    await until(async () => (await two.evaluate(() => (window as unknown as { seen?: number }).seen)) !== undefined, 10_000, 50);
    seen[n] = ((await two.evaluate(() => (window as unknown as { seen?: number }).seen)) ?? 0) - acted;
  }
  // For people to read: a machine that tests is shared.
  console.log(`the second browser showed it ${seen.map((ms) => `${ms} ms`).join(' and ')} after the first`);
  for (const p of [one, two]) await world.close(p);
});
