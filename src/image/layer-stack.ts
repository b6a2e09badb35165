import type { LayerFile } from './layer.js';

/** The files of several overlays as those of one, lowest first: of two with one path the last one's, in order of paths. */
export function stackOverlays(overlays: readonly (readonly LayerFile[])[]): LayerFile[] {
  const [lowest = [], ...higher] = overlays;
  return higher.reduce<LayerFile[]>((below, above) => stack(below, above), [...lowest]);
}

function stack(below: readonly LayerFile[], above: readonly LayerFile[]): LayerFile[] {
  const replaced = new Set(above.map(({ path }) => path));
  const first = new Map(below.map((file) => [file.path, file]));
  const moved = new Map<string, string>(); // names that are gone, to the name that has their content now
  const kept: LayerFile[] = [];
  for (const file of below) {
    if (replaced.has(file.path)) continue;
    if (file.sameAs === undefined || !replaced.has(file.sameAs)) {
      kept.push(file);
      continue;
    }
    const { sameAs, ...alone } = file;
    const now = moved.get(sameAs);
    if (now !== undefined) {
      kept.push({ ...file, sameAs: now });
      continue;
    }
    moved.set(sameAs, file.path);
    const blob = first.get(sameAs)?.blob;
    kept.push(blob === undefined ? alone : { ...alone, blob });
  }
  return [...kept, ...above].sort((a, b) => (a.path < b.path ? -1 : 1));
}
