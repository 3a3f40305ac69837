/** What is used of `@std/fmt/colors`: the copy of the library on npm has no types. */
export function setColorEnabled(value: boolean): void;
export function bold(text: string): string;
export function cyan(text: string): string;
export function gray(text: string): string;
export function green(text: string): string;
export function red(text: string): string;
export function yellow(text: string): string;
