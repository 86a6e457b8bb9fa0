/*
 * Wherry's React hook 0.1.0.dev0. MIT licence.
 *
 * Put it beside chunkedUploadApi.js, which it imports. It needs React 18 or newer.
 *
 *   import { useUpload } from './api/useUpload'
 *   const upload = useUpload()
 *   <input type="file" onChange={(event) => upload.start(event.target.files[0])} />
 *   <progress max={100} value={upload.percent} />
 *
 * It is made from TypeScript; change it there (web/ in the repository), not here.
 */
import { useCallback, useEffect, useRef, useState } from "react";
import { UploadFailure, createUpload, leave } from "./chunkedUploadApi.js";
// src/react/useUpload.ts
/**
 * One upload as a React component sees it.
 *
 *     const upload = useUpload({ endpoint: '/api' })
 *     <input type="file" onChange={(e) => upload.start(e.target.files[0])} />
 *     <progress max={100} value={upload.percent} />
 *
 * Rule 1: a component that unmounts sends nothing more. The server keeps what has arrived, and
 * the same file continues from there.
 *
 * Rule 2: a new state is rendered at once, new numbers at most ten times a second.
 */
/** How often new numbers are rendered, in milliseconds. */
var RENDER_INTERVAL = 100;
var NOTHING = {
	file: null,
	percent: 0,
	details: null,
	uploadId: null,
	result: null,
	failure: null
};
/** Takes the options of `createUpload`. `start` uses those of the last render. */
function useUpload(options = {}) {
	const [shown, show] = useState(NOTHING);
	const latest = useRef(options);
	latest.current = options;
	const current = useRef(null);
	const timer = useRef(void 0);
	useEffect(() => () => {
		clearTimeout(timer.current);
		if (current.current) leave(current.current);
		current.current = null;
	}, []);
	const run = useCallback((upload) => {
		const change = (more) => {
			if (current.current !== upload) return;
			clearTimeout(timer.current);
			timer.current = void 0;
			const facts = {
				details: upload.details,
				uploadId: upload.uploadId
			};
			show((before) => ({
				...before,
				...facts,
				...more
			}));
		};
		change({ failure: null });
		upload.start().then((result) => change({
			result,
			percent: 100
		}), (error) => {
			const cancelled = upload.details.state === "cancelled";
			change({ failure: cancelled ? null : asFailure(error) });
		});
	}, []);
	const start = useCallback((file) => {
		if (current.current) leave(current.current);
		clearTimeout(timer.current);
		timer.current = void 0;
		const { onProgress, ...rest } = latest.current;
		let state = "";
		let percent = 0;
		const upload = createUpload(file, {
			...rest,
			onProgress: (now, details) => {
				latest.current.onProgress?.(now, details);
				if (current.current !== upload) return;
				percent = now;
				const paint = () => {
					timer.current = void 0;
					const facts = {
						details: upload.details,
						uploadId: upload.uploadId
					};
					show((before) => ({
						...before,
						...facts,
						percent
					}));
				};
				if (details.state !== state) {
					state = details.state;
					clearTimeout(timer.current);
					paint();
				} else timer.current ??= setTimeout(paint, RENDER_INTERVAL);
			}
		});
		current.current = upload;
		show({
			...NOTHING,
			file,
			details: upload.details
		});
		run(upload);
	}, [run]);
	const again = useCallback(() => {
		if (current.current) run(current.current);
	}, [run]);
	const pause = useCallback(() => current.current?.pause(), []);
	const resume = useCallback(() => current.current?.resume(), []);
	const cancel = useCallback(async () => {
		const upload = current.current;
		if (!upload) return;
		try {
			await upload.cancel();
		} catch {}
		if (current.current !== upload) return;
		show((before) => ({
			...before,
			details: {
				...upload.details,
				state: "cancelled"
			},
			failure: null
		}));
	}, []);
	return {
		...shown,
		start,
		again,
		pause,
		resume,
		cancel
	};
}
function asFailure(error) {
	if (error instanceof UploadFailure) return error;
	const message = error instanceof Error ? error.message : String(error);
	return new UploadFailure(message, { cause: error });
}
export { useUpload };
