import { afterEach, expect, test } from 'vitest'
import { speak, t } from './language'
import { ar } from './messages/ar'
import { de } from './messages/de'
import { en } from './messages/en'
import { operatorAr } from './messages/operatorAr'
import { operatorDe } from './messages/operatorDe'
import { operatorEn } from './messages/operatorEn'
import { duration, named, size } from './words'

const MiB = 1024 * 1024
const page = document.documentElement

afterEach(() => speak(['en'], page))

test.each([
  [['de-AT', 'en'], 'de', 'ltr', 'Anhalten'],
  [['ar-EG'], 'ar', 'rtl', 'إيقاف مؤقت'],
  [['fr', 'de'], 'de', 'ltr', 'Anhalten'],
  [['en-US', 'de'], 'en', 'ltr', 'Pause'],
  [['fr'], 'en', 'ltr', 'Pause'],
  [[], 'en', 'ltr', 'Pause'],
])('who prefers %s reads %s', async (wanted, lang, dir, pause) => {
  await speak(wanted, page)
  expect([page.lang, page.dir, t.buttons.pause]).toEqual([lang, dir, pause])
})

test('numbers have the forms and signs of their language', async () => {
  await speak(['de'], page)
  expect([size(8.24 * MiB), size(1), duration(7800)]).toEqual(['8,2 MiB', '1 Byte', '2 Stunden 10 Minuten'])
  expect(named(['a', 'b', 'c'], t.app.alreadyListed)).toBe('„a“, „b“ und 1 weitere stehen schon in der Liste.')
  await speak(['ar'], page)
  expect(size(24 * MiB)).toBe('\u206624 MiB\u2069')
  const uploaded = [1, 2, 3, 11, 100].map((n) => t.all.folded(n))
  expect(uploaded).toEqual(['رُفع ملف واحد', 'رُفع ملفان', 'رُفع 3 ملفات', 'رُفع 11 ملفًا', 'رُفع 100 ملف'])
})

/** Every message as a text, by its name. */
function texts(messages: object, prefix = ''): [string, string][] {
  return Object.entries(messages).flatMap(([name, value]) => {
    const path = `${prefix}${name}`
    if (path === 'write' || path === 'direction') return []
    if (typeof value === 'string') return [[path, value] as [string, string]]
    if (typeof value !== 'function') return texts(value as object, `${path}.`)
    // Some take a size or a name, and some a number: a number is good for both.
    return [1, 2, 5, 40].map((n): [string, string] => [`${path}(${n})`, value(n, n, n, n, n)])
  })
}

test.each([
  ['German', de, en],
  ['Arabic', ar, en],
  ['German for operators', operatorDe, operatorEn],
  ['Arabic for operators', operatorAr, operatorEn],
])('%s has a text of its own for each message', (_, messages: object, original: object) => {
  const english = new Map(texts(original))
  const same = texts(messages).filter(([name, text]) => text.trim() === '' || english.get(name) === text)
  // Words that the languages share.
  const shared = /^(size.*|report\.(code|lufs.*)|check\.levels\.problem|choose\.videos|all\.offline|assessment\.inSeconds.*|host)$/
  expect(same.map(([name]) => name).filter((name) => !shared.test(name))).toEqual([])
})
