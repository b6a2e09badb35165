import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { pino } from 'pino';
import { startServers, type RunningServers } from '../../../src/api/serve.js';
import { parseNode, type NodeInput } from '../../../src/node/nodes.js';
import type { Artifact, BootEntry, GenerationManifest } from '../../../src/osimage/types.js';
import { defaultConfig, type SiteConfig } from '../../../src/site/config.js';
import { siteAt } from '../../../src/site/site.js';
import { sha256 } from '../../../src/store/digest.js';
import { blobsOf, coalesce, encodeMap } from '../../../src/store/extents.js';
import type { AssignmentRecord, Store } from '../../../src/store/records.js';
import { openStore } from '../../../src/store/store.js';

/** A site with a real store and real servers on a free loopback port. Nodes have addresses in 127.0.0.0/8. */
export interface RunningSite {
  readonly dir: string;
  readonly store: Store;
  readonly servers: RunningServers;
  readonly url: string;
  readonly port: number;
  readonly clock: { now: number }; // what the servers take for the time
  readonly log: string[]; // JSON lines
  readonly token: string; // of api.token
  addNode(input: NodeInput): Promise<void>;
  assign(node: string, change: Partial<AssignmentRecord>): Promise<AssignmentRecord>;
  publish(image: TestImage): Promise<string>;
  stages(node: string): Promise<string[]>; // oldest first
}

export interface TestImage {
  readonly name: string;
  readonly files?: Readonly<Record<string, Buffer>>;
  readonly tree?: Readonly<Record<string, Buffer>>;
  readonly boot?: readonly BootEntry[];
  readonly answer?: string;
  readonly settings?: Readonly<Record<string, string>>;
}

export const installEntry: BootEntry = {
  kind: 'linux',
  label: 'install',
  title: 'Install',
  kernel: 'linux',
  initrds: ['initrd.gz'],
  args: 'url={{ answerfile }} report={{ report }} ---',
};

export const bootFiles = { linux: randomBytes(300_000), 'initrd.gz': randomBytes(1_200_000) };

type DeepPartial<T> = { readonly [Key in keyof T]?: T[Key] extends object ? Partial<T[Key]> : T[Key] };

/** Starts one; everything is gone when the test has ended. */
export async function runSite(
  t: ExecutionContext,
  change: DeepPartial<SiteConfig> = {},
): Promise<RunningSite> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-http-'));
  const defaults = defaultConfig();
  const config: SiteConfig = {
    ...defaults,
    http: { ...defaults.http, listen: '127.0.0.1:0', ...change.http },
    tftp: { ...defaults.tftp, ...change.tftp },
    install: { ...defaults.install, ...change.install },
    dhcp: { ...defaults.dhcp, ...change.dhcp },
    xcat: { ...defaults.xcat, ...change.xcat },
    serve: { ...defaults.serve, ...change.serve },
  };
  const site = siteAt(dir, config);
  const clock = { now: Date.now() };
  const store = await openStore(site, { now: () => clock.now });
  const log: string[] = [];
  const servers = await startServers({
    site,
    store,
    log: pino({ level: 'debug' }, { write: (line: string) => void log.push(line) }),
    now: () => clock.now,
  });
  t.teardown(async () => {
    await servers.close();
    await store.close();
    await rm(dir, { recursive: true });
  });
  return {
    dir,
    store,
    servers,
    url: servers.url,
    port: Number(new URL(servers.url).port),
    clock,
    log,
    token: (await readFile(join(dir, 'api.token'), 'utf8')).trim(),
    addNode: (input) => store.nodes.put(parseNode(input)),
    async assign(node, changes) {
      const record = {
        node,
        state: 'osimage',
        osimage: 'd12',
        generation: null,
        entry: null,
        since: clock.now,
        ...changes,
      } as const;
      await store.nodes.assign([record]);
      return record;
    },
    publish: (image) => publish(store, image),
    stages: async (node) => (await store.events.ofNode(node, 100)).map((event) => event.stage).reverse(),
  };
}

/** Publishes `image` as an osimage’s current generation; gives its id. */
export async function publish(store: Store, image: TestImage): Promise<string> {
  return store.write('test', async (writer) => {
    const blobs = new Set<string>();
    const put = async (bytes: Buffer) => {
      const blob = await writer.put(bytes);
      blobs.add(blob);
      return blob;
    };
    const artifacts = async (files: Readonly<Record<string, Buffer>>): Promise<Artifact[]> => {
      const made: Artifact[] = [];
      for (const [path, bytes] of Object.entries(files)) {
        // Several parts of every kind, so that ranges cross their borders.
        const cut = Math.floor(bytes.length / 3);
        const head = await put(bytes.subarray(0, cut));
        const tail = await put(bytes.subarray(cut + 100));
        const map = coalesce(
          bytes.length < 1000
            ? [{ kind: 'inline', bytes }]
            : [
                { kind: 'blob', blob: head, offset: 0, length: cut },
                { kind: 'inline', bytes: bytes.subarray(cut, cut + 100) },
                { kind: 'blob', blob: tail, offset: 0, length: bytes.length - cut - 100 },
              ],
        );
        for (const blob of blobsOf(map)) blobs.add(blob);
        made.push({ path, size: bytes.length, sha256: sha256(bytes), map: await put(encodeMap(map)) });
      }
      return made;
    };
    const manifest: GenerationManifest = {
      version: 1,
      family: 'generic',
      files: await artifacts(image.files ?? bootFiles),
      tree: await artifacts(image.tree ?? {}),
      boot: image.boot ?? [installEntry],
      bootBase: image.boot ?? [installEntry],
      bases: {},
      ...(image.answer === undefined
        ? {}
        : {
            answer: {
              template: await put(Buffer.from(image.answer)),
              name: 'configs/test/answerfile.liquid',
              contentType: 'text/plain; charset=utf-8',
            },
          }),
      archives: {},
      inputs: {
        engine: 'e',
        imported: 'e',
        media: sha256('media'),
        layers: [],
        layerSpec: '',
        edits: [],
        settings: image.settings ?? {},
      },
    };
    await writer.seal();
    const text = JSON.stringify(manifest);
    const before = await store.osimages.get(image.name);
    const record = await store.osimages.publish(
      {
        osimage: image.name,
        family: 'generic',
        id: sha256(image.name + text),
        parent: before?.current ?? null,
        note: 'test',
        manifest: text,
        blobs: blobs as never,
      },
      { create: before === undefined },
    );
    return record.id;
  });
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

/** One HTTP request with the path exactly as given, from a loopback address of choice. */
export function ask(
  site: Pick<RunningSite, 'port'>,
  path: string,
  options: { from?: string; method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = httpRequest(
      {
        host: '127.0.0.1',
        port: site.port,
        path,
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        localAddress: options.from ?? '127.0.0.1',
        agent: false,
        timeout: 60_000,
      },
      (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          const body = Buffer.concat(chunks);
          resolve({ status: res.statusCode ?? 0, headers: res.headers, body, text: body.toString('utf8') });
        });
      },
    );
    req.on('error', reject);
    req.on('timeout', () => req.destroy(new Error('timed out')));
    req.end(options.body);
  });
}

/** The SHA-256 of `bytes`, to compare large bodies by. */
export function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Waits until `check` holds, for at most ten seconds. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('it did not happen within ten seconds');
}
