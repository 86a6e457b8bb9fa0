/** A text that nothing else has. */
export function unique(): string {
  return `unique-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`
}
