/** A menu of GRUB, in whose words characters have meanings. */
export const isGrubMenu = (path: string): boolean => /(^|\/)grub[^/]*\.cfg$/i.test(path);

/** A file of boot entries, by its path on the medium. */
export const isMenu = (path: string): boolean =>
  /(^|\/)(?:isolinux|syslinux)\.cfg$/i.test(path) || isGrubMenu(path);

/** A word as a script of GRUB takes it (GRUB manual, “Quoting”). */
export const grubWord = (word: string): string => word.replace(/[^A-Za-z0-9._/:=,@+-]/gu, '\\$&');

/** What of a line of a menu loads a kernel, up to the kernel. */
const KERNEL = /^([^#\n]*?\/vmlinuz)(?=[\s'"]|$)/gm;

/** Whether a menu has an entry that loads a kernel. */
export const loadsKernel = (menu: string): boolean => menu.search(KERNEL) >= 0;

/**
 * The text of a menu with `words` behind the kernel of every line that loads one, as create-iso puts them: in front of the
 * line's own, as the installer talks on the console that is named last.
 */
export function withKernelWords(menu: string, words: readonly string[]): string {
  if (words.length === 0) return menu;
  return menu.replace(KERNEL, (_line, upToKernel: string) => `${upToKernel} ${words.join(' ')}`);
}
