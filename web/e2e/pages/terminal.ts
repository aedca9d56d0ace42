import type { Locator, Page } from 'playwright-core';

/** The terminal of a cluster: what is on its screen, and typing into it. */
export class Terminal {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  get screen(): Locator {
    return this.page.getByTestId('terminal-screen');
  }

  async open(cluster: string, node = '') {
    await this.page.goto(`/p/default/clusters/${cluster}/terminal${node && `?node=${node}`}`);
    await this.page.getByRole('button', { name: 'Open console' }).click();
    await this.sees('=> ');
  }

  async text(): Promise<string> {
    return this.screen.locator('.xterm-rows').innerText();
  }

  async sees(what: string | RegExp) {
    await this.screen.locator('.xterm-rows').getByText(what).first().waitFor();
  }

  async type(line: string) {
    await this.page.keyboard.type(line);
    await this.page.keyboard.press('Enter');
  }
}
