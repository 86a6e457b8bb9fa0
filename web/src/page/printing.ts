/** Prints one part of the page. */

const LEFT_OUT = 'not-printed'

/** Print this element and what is in it, without anything else that the page shows. */
export function printOnly(element: HTMLElement): void {
  const left: Element[] = []
  for (let inside: Element | null = element; inside !== document.body && inside; inside = inside.parentElement) {
    const around = [...(inside.parentElement?.children ?? [])]
    left.push(...around.filter((other) => other !== inside))
  }
  for (const other of left) other.classList.add(LEFT_OUT)
  const restore = () => {
    for (const other of left) other.classList.remove(LEFT_OUT)
  }
  addEventListener('afterprint', restore, { once: true })
  print()
}
