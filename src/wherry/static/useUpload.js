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
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { UploadFailure, createUpload, leave } from "./chunkedUploadApi.js";
// src/react/observed.ts
/**
 * One upload as something that is shown: a value that changes, and whoever wants to know of it.
 *
 * Rule 1: a new state is told at once, new numbers at most ten times a second.
 *
 * Rule 2: nothing here needs React, so an upload may go on while no component shows it.
 */
/** How often new numbers are told, in milliseconds. */
var INTERVAL = 100;
var NOTHING = {
	file: null,
	percent: 0,
	details: null,
	uploadId: null,
	result: null,
	failure: null,
	early: null
};
var Observed = class {
	/** `options`: asked for at each `start`; its `onProgress` and `onEarly` when they are told. */
	constructor(options) {
		this.options = options;
		this.shown = NOTHING;
		this.current = null;
		this.listeners = /* @__PURE__ */ new Set();
		this.subscribe = (listener) => {
			this.listeners.add(listener);
			return () => this.listeners.delete(listener);
		};
		this.now = () => this.shown;
		this.start = (file) => {
			this.leave();
			const { onProgress, ...rest } = this.options();
			let state = "";
			let percent = 0;
			const upload = createUpload(file, {
				...rest,
				onEarly: (early) => {
					this.options().onEarly?.(early);
					this.change(upload, { early });
				},
				onProgress: (now, details) => {
					this.options().onProgress?.(now, details);
					if (this.current !== upload) return;
					percent = now;
					if (details.state !== state) {
						state = details.state;
						this.change(upload, { percent });
					} else this.timer ??= setTimeout(() => this.change(upload, { percent }), INTERVAL);
				}
			});
			this.current = upload;
			this.shown = {
				...NOTHING,
				file
			};
			this.run(upload);
		};
		this.again = () => {
			if (this.current) this.run(this.current);
		};
		this.pause = () => this.current?.pause();
		this.resume = () => this.current?.resume();
		this.cancel = async () => {
			const upload = this.current;
			if (!upload) return;
			try {
				await upload.cancel();
			} catch {}
			this.change(upload, {
				details: {
					...upload.details,
					state: "cancelled"
				},
				failure: null
			});
		};
	}
	/** Send nothing more. The server keeps what has arrived. */
	leave() {
		clearTimeout(this.timer);
		this.timer = void 0;
		const { current } = this;
		this.current = null;
		if (current) leave(current);
	}
	run(upload) {
		this.change(upload, { failure: null });
		upload.start().then((result) => this.change(upload, {
			result,
			percent: 100
		}), (error) => {
			const cancelled = upload.details.state === "cancelled";
			this.change(upload, { failure: cancelled ? null : asFailure(error) });
		});
	}
	change(upload, more) {
		if (this.current !== upload) return;
		clearTimeout(this.timer);
		this.timer = void 0;
		const { details, uploadId } = upload;
		this.shown = {
			...this.shown,
			details,
			uploadId,
			...more
		};
		for (const listener of [...this.listeners]) listener();
	}
};
function asFailure(error) {
	if (error instanceof UploadFailure) return error;
	const message = error instanceof Error ? error.message : String(error);
	return new UploadFailure(message, { cause: error });
}
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
/** Takes the options of `createUpload`. `start` uses those of the last render. */
function useUpload(options = {}) {
	const latest = useRef(options);
	latest.current = options;
	const [observed] = useState(() => new Observed(() => latest.current));
	const shown = useSyncExternalStore(observed.subscribe, observed.now, observed.now);
	useEffect(() => () => observed.leave(), [observed]);
	const { start, again, pause, resume, cancel } = observed;
	return {
		...shown,
		start,
		again,
		pause,
		resume,
		cancel
	};
}
export { useUpload };
