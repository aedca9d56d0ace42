import type { Locator, Page } from 'playwright-core';

/** The page as a hand with a mouse has it: links, buttons, menus. No address is typed and no key is a shortcut. */
export class Mouse {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** A page of the project, by the navigation at the left. */
  async go(noun: string) {
    await this.page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: new RegExp(`^${noun}`) }).click();
    await this.page.getByRole('heading', { level: 1, name: noun }).waitFor();
  }

  /** A cluster, by its row. */
  async open(name: string) {
    await this.go('Clusters');
    await this.page.getByRole('row', { name: new RegExp(name) }).getByRole('link', { name, exact: true }).click();
    await this.page.getByRole('heading', { level: 1, name: new RegExp(name) }).waitFor();
  }

  async tab(label: string) {
    await this.page.getByRole('navigation', { name: /^Pages of/ }).getByRole('link', { name: new RegExp(`^${label}`) }).click();
  }

  async press(name: string | RegExp, within: Page | Locator = this.page) {
    await within.getByRole('button', { name, exact: typeof name === 'string' }).first().click();
  }

  async menu(of: string | RegExp, item: string | RegExp, within: Page | Locator = this.page) {
    await within.getByRole('button', { name: of }).first().click();
    await this.page.getByRole('menuitem', { name: item }).first().click();
  }
}
