import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const BINARY = process.env.MAINSTAY_BIN ?? join(import.meta.dirname, '../../target/debug/mainstay');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const SHOTS = join(import.meta.dirname, 'out');

export const PERSON = { name: 'Ada', email: 'ada@example.org', password: 'correct horse battery' };

/** A server of its own with an empty data directory, and a browser. */
export class World {
  base = '';
  link = '';
  token = '';
  browser!: Browser;
  private server?: ChildProcess;
  private readonly dir: string;
  /** What a signed-in browser holds. */
  private state?: Awaited<ReturnType<BrowserContext['storageState']>>;

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'mainstay-web-'));
    // Engines run as users of their own and have to get to their directories.
    chmodSync(this.dir, 0o755);
    mkdirSync(SHOTS, { recursive: true });
  }

  async start() {
    if (!existsSync(BINARY)) throw new Error(`${BINARY} is not there: cargo build -p mainstay`);
    if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is not there: scripts/setup.sh test`);
    await this.up(await freePort());
    this.token = readFileSync(join(this.dir, 'admin.token'), 'utf8').trim();
    this.browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  }

  /** Starts the server, here or again; what it prints holds its address and the first link. */
  async up(port: number) {
    const server = spawn(BINARY, ['up', '--data-dir', this.dir, '--listen', `127.0.0.1:${port}`], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.server = server;
    let said = '';
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
    };
    server.stdout.on('data', hear);
    server.stderr.on('data', hear);
    await until(async () => {
      if (server.exitCode !== null) throw new Error(`mainstay ended: ${said}`);
      this.link = /http:\S+\/welcome#token=\S+/.exec(said)?.[0] ?? this.link;
      return said.includes('Mainstay serves at');
    }, 60_000);
    this.base = `http://127.0.0.1:${port}`;
  }

  get port(): number {
    return Number(new URL(this.base).port);
  }

  /** Mainstay ends; databases go on. */
  async down() {
    const server = this.server;
    if (!server || server.exitCode !== null) return;
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGTERM');
    await ended;
  }

  /** What a page had asked for and somebody answers in the server's place may still be on its way: nobody waits for that. */
  async close(page: Page) {
    await leave(page.context());
  }

  async stop() {
    for (const context of this.browser?.contexts() ?? []) await leave(context).catch(() => undefined);
    await this.browser?.close();
    try {
      this.cli('down', '--engines');
    } finally {
      await this.down();
      rmSync(this.dir, { recursive: true, force: true });
    }
  }

  cli(...args: string[]): string {
    const own = args[0] === 'down' ? ['--data-dir', this.dir] : ['--server', this.base, '--token', this.token];
    return execFileSync(BINARY, [...args, ...own], { encoding: 'utf8', timeout: 200_000, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** The first value that a statement answers, over the endpoint: terminals are few in a minute, and looking is not what they are for. */
  sql(cluster: string, statement: string): string {
    const { url } = JSON.parse(this.cli('cluster', 'credentials', cluster, '--output', 'json')) as { url: string };
    return execFileSync('psql', [url, '-qAtXc', statement], { encoding: 'utf8', timeout: 60_000 }).trim();
  }

  async newPage(options: { width?: number; dark?: boolean; fresh?: boolean } = {}): Promise<Page> {
    const { width = 1440, dark = false, fresh = false } = options;
    const context = await this.browser.newContext({
      viewport: { width, height: width < 768 ? 844 : 900 },
      colorScheme: dark ? 'dark' : 'light',
      storageState: fresh ? undefined : this.state,
      baseURL: this.base,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    return page;
  }

  async remember(page: Page) {
    this.state = await page.context().storageState();
  }
}

async function leave(context: BrowserContext) {
  await context.unrouteAll({ behavior: 'ignoreErrors' });
  for (const page of context.pages()) await page.unrouteAll({ behavior: 'ignoreErrors' });
  await context.close();
}

export async function until(done: () => Promise<boolean>, within: number, step = 200) {
  const end = Date.now() + within;
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`not so after ${within / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, step));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

export const world = new World();
