import { RackbootError } from '../errors.js';
import { findGeneration } from '../osimage/find.js';
import { manifestOf } from '../osimage/manifest.js';
import type { BootEntry } from '../osimage/types.js';
import { nodeLoaderFault, platformsOf } from '../site/loader-names.js';
import type { NodeRecord, Store } from '../store/records.js';
import { NodeError } from './errors.js';
import { foldNames } from './fold.js';
import type { NodeChoice } from './nodeset.js';

/** The attribute of a node that names the loader it is to be given, in place of the one of dhcp.loaders. */
export const LOADER_ATTRIBUTE = 'loader';

/** `dhcp.loaders`, as the configuration has it: by kind of client. */
export type LoaderChoices = Readonly<Partial<Record<string, string | undefined>>>;

/** What a node is, or would be, set to boot. */
export interface BootsOsimage {
  readonly osimage: string;
  readonly generation: string | null; // null: the current one
  readonly entry: string | null; // null: the first
}

/** Loaders of the chain that is signed for Secure Boot. */
const SIGNED: ReadonlySet<string> = new Set(['shim', 'shimx64.efi', 'grubx64.efi']);

/** Why a machine whose first loader is `loader` cannot boot `entry`, as words about it; undefined when it may. */
export function loaderRefusal(loader: string, entry: BootEntry): string | undefined {
  if (entry.kind === 'xen') {
    return SIGNED.has(loader)
      ? `its loader ${loader} cannot boot Xen: the GRUB that is signed for Secure Boot has no multiboot2; turn Secure Boot off there and set loader=grub`
      : undefined;
  }
  const { firmware } = entry;
  const platforms = platformsOf(loader);
  if (firmware === undefined || platforms === undefined) return undefined;
  if (platforms.some((platform) => (platform === 'bios') === (firmware === 'bios'))) return undefined;
  return `its loader ${loader} is for ${platforms.join(' and ')}, and the entry ${entry.label} starts on ${firmware === 'bios' ? 'BIOS' : 'UEFI'} only; set it to another entry or loader`;
}

/** Throws NodeError BAD_ATTRIBUTE for the first of `nodes` whose loader is not handed out, with the likely one. */
export function requireKnownLoaders(nodes: readonly NodeRecord[], table: LoaderChoices): void {
  for (const { name, attributes } of nodes) {
    const loader = attributes[LOADER_ATTRIBUTE];
    const fault = loader === undefined ? undefined : nodeLoaderFault(loader, table);
    if (fault !== undefined) throw new NodeError('BAD_ATTRIBUTE', `node ${name}: ${fault}`);
  }
}

/** Finds out what entries are booted, each generation read once. */
export class EntryReader {
  readonly #store: Store;
  readonly #known = new Map<string, Promise<BootEntry | undefined>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The entry that `target` boots; undefined when the generation has none of that name. Throws OsimageError. */
  read(target: BootsOsimage): Promise<BootEntry | undefined> {
    const key = JSON.stringify([target.osimage, target.generation, target.entry]);
    const known = this.#known.get(key) ?? this.#find(target);
    this.#known.set(key, known);
    return known;
  }

  async #find({ osimage, generation, entry }: BootsOsimage): Promise<BootEntry | undefined> {
    const pin = generation === null ? '' : `@${generation}`;
    const { boot } = manifestOf(await findGeneration(this.#store, `${osimage}${pin}`));
    return entry === null ? boot[0] : boot.find(({ label }) => label === entry);
  }
}

/** `choices`, those refused whose node has a loader that cannot boot what it would be set to. */
export async function refuseByLoader(
  choices: readonly NodeChoice[],
  entries: EntryReader,
): Promise<readonly NodeChoice[]> {
  const checked: NodeChoice[] = [];
  for (const choice of choices) {
    const loader = choice.node.attributes[LOADER_ATTRIBUTE];
    const why = loader === undefined ? undefined : await refusalOf(loader, targetsOf(choice), entries);
    checked.push(why === undefined ? choice : { node: choice.node, refused: why });
  }
  return checked;
}

/** What is to be said of nodes that dhcp.loaders gives a loader which cannot boot Xen, a line each group. */
export async function loaderWarnings(
  choices: readonly NodeChoice[],
  entries: EntryReader,
  table: LoaderChoices = {},
): Promise<readonly string[]> {
  const signed = Object.entries(table).filter(([, loader]) => loader !== undefined && SIGNED.has(loader));
  const [key, loader] = signed[0] ?? [];
  if (key === undefined || loader === undefined) return [];
  const names: string[] = [];
  for (const choice of choices) {
    if ('refused' in choice || choice.node.attributes[LOADER_ATTRIBUTE] !== undefined) continue;
    if ((await refusalOf(loader, targetsOf(choice), entries)) !== undefined) names.push(choice.node.name);
  }
  if (names.length === 0) return [];
  const who = foldNames(names);
  return [
    `${who}: dhcp.loaders gives ${key} ${loader}, which cannot boot Xen; where that is their firmware, rackboot node set ${who} --attr loader=grub, with Secure Boot off`,
  ];
}

/** Those of `nodes` that are set to what their loader cannot boot, each with the reason; an osimage that is gone says so itself. */
export async function unbootableNodes(
  store: Store,
  nodes: readonly NodeRecord[],
): Promise<readonly { readonly node: string; readonly why: string }[]> {
  const chosen = new Map(
    nodes.flatMap(({ name, attributes }) => {
      const loader = attributes[LOADER_ATTRIBUTE];
      return loader === undefined ? [] : [[name, loader] as const];
    }),
  );
  const entries = new EntryReader(store);
  const found: { node: string; why: string }[] = [];
  for (const { node, state, osimage, generation, entry } of await store.nodes.assignments([
    ...chosen.keys(),
  ])) {
    const loader = chosen.get(node);
    if (loader === undefined || state !== 'osimage' || osimage === null) continue;
    const why = await refusalOf(loader, [{ osimage, generation, entry }], entries).catch(goneOrThrow);
    if (why !== undefined) found.push({ node, why });
  }
  return found;
}

function goneOrThrow(error: unknown): undefined {
  if (!(error instanceof RackbootError)) throw error;
}

async function refusalOf(
  loader: string,
  targets: readonly BootsOsimage[],
  entries: EntryReader,
): Promise<string | undefined> {
  for (const target of targets) {
    const entry = await entries.read(target);
    const why = entry === undefined ? undefined : loaderRefusal(loader, entry);
    if (why !== undefined) return why;
  }
  return undefined;
}

/** Everything that `choice` boots over the network, one after another. */
function targetsOf(choice: NodeChoice): readonly BootsOsimage[] {
  if ('refused' in choice) return [];
  const { target, chain = [] } = choice;
  const first = target.kind === 'osimage' ? [target] : [];
  const later = chain.flatMap(({ osimage, entry }) =>
    osimage === null ? [] : [{ osimage, generation: null, entry }],
  );
  return [...first, ...later];
}
