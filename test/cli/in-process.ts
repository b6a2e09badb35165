import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import { run } from '../../src/cli/program.js';
import { sha256 } from '../../src/store/digest.js';
import type { GenerationManifest } from '../../src/osimage/types.js';
import { openSite } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** A new site with osimage d12 (generations 1 and 2, entries install and rescue), and a way to run commands on it. */
export async function newSite(t: ExecutionContext): Promise<{
  readonly dir: string;
  readonly rackboot: (...words: string[]) => Promise<Outcome>;
  readonly json: (...words: string[]) => Promise<unknown>;
  readonly generations: readonly string[];
}> {
  const parent = await mkdtemp(join(tmpdir(), 'rackboot-cli-'));
  t.teardown(() => rm(parent, { recursive: true }));
  const dir = join(parent, 'site');
  const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', dir, ...words]);
  const made = await rackboot('init');
  if (made.status !== 0) throw new Error(made.err);
  return {
    dir,
    rackboot,
    async json(...words) {
      const { status, out, err } = await rackboot('--json', ...words);
      if (status !== 0) throw new Error(err);
      return JSON.parse(out) as unknown;
    },
    generations: await publishTwo(dir),
  };
}

/** Runs one command line in this process. */
export async function runCommand(words: readonly string[]): Promise<Outcome> {
  const [out, err] = [collector(), collector()];
  const status = await run(words, { stdout: out.stream, stderr: err.stream });
  return { status, out: out.text(), err: err.text() };
}

/** What a command line printed; throws what it said when it failed. */
export async function runSucceeding(words: readonly string[]): Promise<string> {
  const { status, out, err } = await runCommand(words);
  if (status !== 0) throw new Error(`${words.join(' ')}: ${err}`);
  return out;
}

function collector(): { readonly stream: Writable; readonly text: () => string } {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString('utf8');
      done();
    },
  });
  return { stream, text: () => text };
}

async function publishTwo(dir: string): Promise<string[]> {
  const store = await openStore(await openSite(dir));
  const entry = { kind: 'linux', title: 'x', kernel: 'linux', initrds: [], args: '' } as const;
  const boot = [
    { ...entry, label: 'install' },
    { ...entry, label: 'rescue' },
  ];
  const ids: string[] = [];
  for (const note of ['one', 'two']) {
    const manifest: GenerationManifest = {
      version: 1,
      family: 'generic',
      files: [],
      tree: [],
      boot,
      bootBase: boot,
      archives: {},
      bases: {},
      inputs: {
        engine: 'e',
        imported: 'e',
        media: sha256(note),
        layers: [],
        layerSpec: '',
        edits: [],
        settings: {},
      },
    };
    const parent = ids.at(-1) ?? null;
    const id = sha256(note);
    const request = {
      osimage: 'd12',
      family: 'generic',
      id,
      parent,
      note,
      manifest: JSON.stringify(manifest),
      blobs: [],
    };
    await store.osimages.publish(request, { create: parent === null });
    ids.push(id);
  }
  await store.close();
  return ids;
}
