import type { Locator, Page } from 'playwright-core';

/** The clusters of a project, and one of them: by role and name, as people find things. */
export class Clusters {
  readonly page: Page;
  readonly project: string;

  constructor(page: Page, project = 'default') {
    this.page = page;
    this.project = project;
  }

  async list() {
    await this.page.goto(`/p/${this.project}/clusters`);
    await this.page.getByRole('heading', { level: 1, name: 'Clusters' }).waitFor();
  }

  row(name: string): Locator {
    return this.page.getByRole('row', { name: new RegExp(name) });
  }

  async open(name: string, tab = '') {
    await this.page.goto(`/p/${this.project}/clusters/${name}${tab && `/${tab}`}`);
    await this.page.getByRole('heading', { level: 1, name: new RegExp(name) }).waitFor();
  }

  /** The head's badge. */
  status(word: string): Locator {
    return this.page.getByRole('heading', { level: 1 }).getByRole('status', { name: word });
  }

  async idle() {
    await this.page.getByRole('region', { name: /^Operation:/ }).waitFor({ state: 'detached', timeout: 180_000 });
  }
}

/** A dialog that asks before it acts. */
export class Asking {
  readonly dialog: Locator;

  constructor(page: Page, name: string | RegExp) {
    this.dialog = page.getByRole('alertdialog', { name });
  }

  async type(name: string) {
    await this.dialog.getByRole('textbox', { name: `Type ${name} to confirm` }).fill(name);
  }

  button(name: string | RegExp): Locator {
    return this.dialog.getByRole('button', { name, exact: typeof name === 'string' });
  }

  async confirm(name: string | RegExp) {
    await this.button(name).click();
    await this.dialog.waitFor({ state: 'detached' });
  }
}
