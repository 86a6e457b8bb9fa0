import { afterEach, expect, test, vi } from 'vitest'
import { ANYTHING } from './accepted'
import { Chooser } from './Chooser'
import type { Gathered } from './folders'
import { after, button, cleanUp, render } from './testing'
import { fileOf } from '../core/testing/upload'

afterEach(async () => {
  vi.unstubAllGlobals()
  await cleanUp()
})

/** What comes of a click on *Choose files* where the browser's dialog with handles ends so. */
async function chosenBy(dialog: () => Promise<unknown[]>, isPhone = false) {
  const asked = vi.fn(dialog)
  vi.stubGlobal('showOpenFilePicker', asked)
  vi.stubGlobal('navigator', { ...navigator, userAgentData: { mobile: isPhone } })
  const gathered: Gathered[] = []
  const accepted = { ...ANYTHING, allowed_types: ['video/*', 'audio/flac'] }
  const page = await render(
    <Chooser
      onFiles={(files) => gathered.push(files)}
      accepted={accepted}
      waits={false}
      onWaits={() => undefined}
      isFirst
    />,
  )
  const plain = vi.fn()
  page.querySelector<HTMLInputElement>('input[aria-label="Files"]')!.click = plain
  await after(() => button(page, 'Choose files').click())
  return { asked, gathered, plain: plain.mock.calls.length }
}

const rejects = (name: string) => async () => Promise.reject(new DOMException('', name))

test('files are chosen with handles, which lead to them after a reload', async () => {
  const handle = { kind: 'file', getFile: async () => fileOf('talk.mp4') }
  const { asked, gathered, plain } = await chosenBy(async () => [handle])
  expect(asked.mock.calls).toEqual([
    [{ multiple: true, types: [{ accept: { 'video/*': [], 'audio/flac': [] } }] }],
  ])
  expect(gathered[0]!.chosen[0]!.path).toBe('talk.mp4')
  expect(await gathered[0]!.chosen[0]!.handle).toBe(handle)
  expect(plain).toBe(0)
})

test('who closes the dialog is not asked again', async () => {
  expect(await chosenBy(rejects('AbortError'))).toMatchObject({ gathered: [], plain: 0 })
})

test('where that dialog is forbidden, and on phones, there is the plain one', async () => {
  expect(await chosenBy(rejects('SecurityError'))).toMatchObject({ plain: 1 })
  const { asked, plain } = await chosenBy(async () => [], true)
  expect([asked.mock.calls.length, plain]).toEqual([0, 1])
})
