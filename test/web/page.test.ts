import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { chromium, type Page } from 'playwright-core';
import { pino } from 'pino';
import { startServers } from '../../src/api/serve.js';
import { siteAt } from '../../src/site/site.js';
import { ask, runSite, until, type RunningSite } from '../pxe/http/running-site.js';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

interface Browsing {
  readonly page: Page;
  readonly foreign: string[]; // requests to anywhere else
  readonly errors: string[];
}

async function browse(
  t: ExecutionContext,
  site: RunningSite,
  colorScheme: 'light' | 'dark' = 'light',
): Promise<Browsing> {
  const profile = await mkdtemp(join(tmpdir(), 'rackboot-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    headless: true,
    args: FLAGS,
    colorScheme,
    viewport: { width: 1280, height: 720 },
  });
  t.teardown(async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  });
  const page = await context.newPage();
  const foreign: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(`${site.url}/`) && !request.url().startsWith('data:'))
      foreign.push(request.url());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`${site.url}/`);
  return { page, foreign, errors };
}

const rowText = async (page: Page, node: string): Promise<string> =>
  (await page.locator('tbody tr', { has: page.locator(`th:text-is("${node}")`) }).innerText()).replace(
    /\s+/g,
    ' ',
  );

const append = (
  site: RunningSite,
  node: string,
  stage: string,
  more: { bytes?: number; ms?: number; detail?: string } = {},
) =>
  site.store.events.append({
    at: Date.now(),
    node,
    stage,
    detail: '',
    bytes: null,
    ms: null,
    generation: null,
    client: null,
    ...more,
  });

test.serial('the page shows the nodes and follows what they do', async (t) => {
  const site = await runSite(t);
  for (const n of [1, 2, 10]) {
    await site.addNode({
      name: `n${n}`,
      macs: [`52:54:00:00:00:${String(n).padStart(2, '0')}`],
      ip: `127.0.0.${10 + n}`,
    });
  }
  await site.publish({ name: 'd12', answer: 'x' });
  await site.assign('n1', { since: Date.now() - 60_000 });
  const { page, foreign, errors } = await browse(t, site);
  await page.locator('#connection[data-state="live"]').waitFor();
  await page.locator('tbody tr').nth(2).waitFor();
  t.deepEqual(await page.locator('tbody th').allInnerTexts(), ['n1', 'n2', 'n10']);
  t.regex(await rowText(page, 'n1'), /^n1 d12@1 waiting for boot 0 %/);
  t.regex(await rowText(page, 'n2'), /^n2 local disk never seen/);

  await ask(site, '/nodes/n1/boot.ipxe', { from: '127.0.0.11' });
  await append(site, 'n1', 'initrd', { bytes: 5 * 1024 * 1024, ms: 1500, detail: 'initrd.gz' });
  await until(async () => /initrd 40 % 5\.0 MiB 1\.5 s|initrd 40 % 5\.0 MiB/.test(await rowText(page, 'n1')));
  t.is(await page.locator('#summary').innerText(), '3 nodes · 1 being installed');
  t.is(await page.locator('tr[data-kind="busy"] progress').getAttribute('aria-label'), 'n1: 40 percent');

  await ask(site, '/nodes/n1/report?stage=installed', { from: '127.0.0.11' });
  await until(async () => /^n1 local disk · d12@1 installed 100 %/.test(await rowText(page, 'n1')));

  await page.locator('#search').fill('n10');
  await until(async () => (await page.locator('tbody tr:visible').count()) === 1);
  await page.locator('#search').fill('nothing like that');
  await until(async () => (await page.locator('#empty').innerText()) === 'No node is like that.');
  await page.locator('#search').fill('');
  await page.locator('#show').selectOption('installed');
  await until(async () => (await page.locator('tbody tr:visible').allInnerTexts()).length === 1);

  // The keyboard reaches everything, and nothing came from elsewhere.
  await page.locator('#show').focus();
  await page.keyboard.press('Tab');
  t.is(await page.evaluate('document.activeElement.className'), 'scroll');
  t.deepEqual(foreign, []);
  t.deepEqual(errors, []);
});

test.serial('it says so when the server is gone, and comes back by itself', async (t) => {
  const site = await runSite(t);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'] });
  const { page } = await browse(t, site);
  await page.locator('#connection[data-state="live"]').waitFor();
  await site.servers.close();
  await page.locator('#connection[data-state="lost"]').waitFor();
  t.is(await page.locator('#connection').innerText(), 'connection lost, retrying');
  await site.addNode({ name: 'n2', macs: ['52:54:00:00:00:02'] });
  const config = { ...site.servers.service.config, http: { listen: `127.0.0.1:${site.port}`, limits: {} } };
  const again = await startServers({
    site: siteAt(site.dir, config),
    store: site.store,
    log: pino({ level: 'silent' }),
  });
  t.teardown(() => again.close());
  await page.locator('#connection[data-state="live"]').waitFor();
  await page.locator('tbody th:text-is("n2")').waitFor();
  t.pass();
});

test.serial('what nodes say is text, never markup', async (t) => {
  const site = await runSite(t);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' });
  await ask(
    site,
    `/nodes/n1/report?stage=late&detail=${encodeURIComponent('<img src=x onerror=alert(1)><b>x</b>')}`,
    { from: '127.0.0.11' },
  );
  const { page, errors } = await browse(t, site);
  await until(async () => /<img src=x onerror=alert\(1\)>/.test(await rowText(page, 'n1').catch(() => '')));
  t.is(await page.locator('tbody img, tbody b').count(), 0);
  t.deepEqual(errors, []);
});

test.serial('five hundred nodes in the dark', async (t) => {
  const site = await runSite(t);
  const names = Array.from(
    { length: 500 },
    (_, n) => `r${Math.floor(n / 50) + 1}n${String((n % 50) + 1).padStart(2, '0')}`,
  );
  for (const [n, name] of names.entries()) {
    const mac = `52:54:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
    await site.addNode({ name, macs: [mac] });
  }
  await site.publish({ name: 'd12' });
  await site.store.nodes.assign(
    names.map((node) => ({
      node,
      state: 'osimage',
      osimage: 'd12',
      generation: null,
      entry: null,
      since: Date.now() - 600_000,
    })),
  );
  const stages = [
    'script',
    'kernel',
    'initrd',
    'answer',
    'installing',
    'partitioning',
    'failed',
    'installed',
  ];
  for (const [n, name] of names.entries()) {
    if (n % 9 < 8) await append(site, name, stages[n % 9] ?? '', { bytes: n * 300_000, detail: `step ${n}` });
  }
  const { page, errors } = await browse(t, site, 'dark');
  await page.locator('tbody tr').nth(499).waitFor();
  await Promise.all(names.slice(0, 200).map((name) => append(site, name, 'installed')));
  await until(async () => (await page.locator('tr[data-kind="installed"]').count()) >= 200);
  t.deepEqual(errors, []);
  const shot = process.env['RACKBOOT_SCREENSHOT'];
  if (shot !== undefined) await page.screenshot({ path: shot });
});

test.serial('nothing of a node is cut off on the right, on a telephone, a tablet or a screen', async (t) => {
  const site = await runSite(t);
  await site.addNode({ name: 'rack12-node34', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' });
  await site.publish({ name: 'd12', answer: 'x' });
  await site.assign('rack12-node34', { since: Date.now() - 60_000 });
  await append(site, 'rack12-node34', 'failed', {
    bytes: 500 * 1024 * 1024,
    ms: 3_599_000,
    detail: 'disk /dev/sda: no space left on device, and what else there is to say about it',
  });
  const { page } = await browse(t, site);
  await page.locator('tbody tr[data-kind="failed"]').waitFor();
  for (const width of [360, 768, 1000, 1100, 1920]) {
    await page.setViewportSize({ width, height: 720 });
    const beyond = await page.evaluate<number>(
      `(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('.scroll'))`,
    );
    t.is(beyond, 0, `${width} px wide`);
    t.true(await page.locator('tbody .last').isVisible());
  }
});
