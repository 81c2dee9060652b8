"""Watching a training: buttons to start, stop and go on, and a part of the page that draws itself anew meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import streamlit as st
from interface.run import Run

__all__ = ["live_run"]

EVERY = 1.0  # seconds between two looks at a training


def live_run(
    name: str, settings: Any, make: Callable[[], Iterator[Any]], draw: Callable[[Run[Any] | None], None], total: int
) -> Run[Any] | None:
    """Show a training with its buttons.

    The run is kept in the visitor's session, so it is his alone, and survives that the page runs again.

    Args:
        name: of the training in the session.
        settings: what it depends on; with others, a new training begins when the button is pressed.
        make: begins a training.
        draw: draws what there is to see; given None while nothing has been trained.
        total: how many steps there shall be.

    Returns:
        The run, if there is one.
    """
    state = st.session_state
    key = f"run of {name}"
    run: Run[Any] | None = state.get(key)
    start, stop, proceed, note = st.columns([2, 2, 2, 4], vertical_alignment="center")
    if start.button("Train", key=f"{name}: train", type="primary", disabled=run is not None and run.running):
        if run is not None:
            run.stop()
        run = state[key] = Run(make())
        state[f"settings of {name}"] = settings
        run.start()
        st.rerun()
    if stop.button("Stop", key=f"{name}: stop", disabled=run is None or not run.running):
        assert run is not None
        run.stop()
        st.rerun()
    paused = run is not None and not run.running and not run.finished
    if proceed.button("Go on", key=f"{name}: go on", disabled=not paused):
        assert run is not None
        run.start()
        st.rerun()
    if run is not None and state[f"settings of {name}"] != settings:
        note.caption("The training shown has other settings; Train begins anew with these.")

    was_running = run is not None and run.running

    @st.fragment(run_every=EVERY if was_running else None)
    def watch() -> None:
        if run is not None:
            st.progress(min(1.0, run.count / total), text=_words(run, total))
            if run.error:
                st.error(run.error)
        draw(run)
        if run is not None and was_running and not run.running:
            st.rerun()  # the buttons change

    watch()
    return run


def _words(run: Run[Any], total: int) -> str:
    if run.running and not run.count:
        return "Compiling"
    how = "training" if run.running else "finished" if run.finished else "stopped"
    speed = f", {run.count / run.seconds:.1f} a second" if run.seconds else ""
    return f"{how}: step {run.count} of {total}{speed}"
