import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Preview } from './Preview'
import { after, cleanUp, render } from './testing'

beforeEach(() => {
  vi.spyOn(URL, 'createObjectURL').mockReturnValue('blob:picture')
  vi.spyOn(URL, 'revokeObjectURL')
})

afterEach(async () => {
  await cleanUp()
  vi.restoreAllMocks()
})

const file = (type: string) => new File(['x'], 'a', { type })

test('a photo and a film have their pictures, and nobody hears of them', async () => {
  const photo = await render(<Preview file={file('image/jpeg')} />)
  expect(photo.querySelector('img')!.getAttribute('src')).toBe('blob:picture')
  expect(photo.querySelector('.preview')!.getAttribute('aria-hidden')).toBe('true')
  await cleanUp()
  const film = await render(<Preview file={file('video/mp4')} />)
  expect(film.querySelector('video')!.getAttribute('src')).toBe('blob:picture#t=0.5')
})

test('another file has none, and nothing is made of it', async () => {
  const page = await render(<Preview file={file('application/zip')} />)
  expect(page.innerHTML).toBe('')
  expect(URL.createObjectURL).not.toHaveBeenCalled()
})

test('what the browser cannot show leaves its frame', async () => {
  const page = await render(<Preview file={file('image/heic')} />)
  await after(() => page.querySelector('img')!.dispatchEvent(new Event('error')))
  expect(page.querySelector('img')).toBeNull()
  expect(page.querySelector('.preview')).not.toBeNull()
})

test('the memory of a picture is given back with it', async () => {
  await render(<Preview file={file('image/png')} />)
  await cleanUp()
  expect(URL.revokeObjectURL).toHaveBeenCalledWith('blob:picture')
})
