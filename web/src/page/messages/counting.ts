/** What the messages of all languages are made with. */

export interface Counting {
  /** `1 file`, `3 files`: the form that the language has for this number; `#` is the number. */
  count(number: number, forms: Forms): string
  /** `a, b and c`. */
  list(parts: readonly string[]): string
  number(value: number, digits?: number): string
  /** Like `30 November 2026 at 15:00`, in the time zone of the browser. */
  date(at: Date): string
  /** Like `30 Nov 2026, 15:00:07`, in the same time zone. */
  exact(at: Date): string
  /** Like `Monday 15:00`. */
  weekday(at: Date): string
}

/** By the rules of Unicode: https://cldr.unicode.org/index/cldr-spec/plural-rules. */
export type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }

/** `locale`: a language tag. */
export function counting(locale: string): Counting {
  const rules = new Intl.PluralRules(locale)
  const lists = new Intl.ListFormat(locale, { type: 'conjunction' })
  const number = (value: number, digits = 0) =>
    value.toLocaleString(locale, { maximumFractionDigits: digits, useGrouping: 'min2' })
  return {
    count: (value, forms) => (forms[rules.select(value)] ?? forms.other).replace('#', number(value)),
    list: (parts) => lists.format(parts),
    number,
    date: (at) => at.toLocaleString(locale, { dateStyle: 'long', timeStyle: 'short' }),
    exact: (at) => at.toLocaleString(locale, { dateStyle: 'medium', timeStyle: 'medium' }),
    weekday: (at) => at.toLocaleString(locale, { weekday: 'long', hour: '2-digit', minute: '2-digit' }),
  }
}
