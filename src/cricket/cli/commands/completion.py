"""Print a script that completes commands, options, names and ids in a shell.

Write it to where the shell looks for it, as below: the first three for everybody, the others for you alone. (zsh needs
`fpath+=~/.zfunc` in ~/.zshrc before compinit for the latter.) To try it in this bash only: source <(cricket completion
bash)

The script asks `cricket __complete` at each key, so it stays true when commands change. Names and ids are those of the
runtime that the line means; one that does not answer within half a second completes nothing.
"""

from __future__ import annotations

import argparse
import sys

EXAMPLES = """\
  cricket completion bash > /usr/share/bash-completion/completions/cricket
  cricket completion zsh > /usr/share/zsh/site-functions/_cricket
  cricket completion fish > /usr/share/fish/vendor_completions.d/cricket.fish
  cricket completion bash > ~/.local/share/bash-completion/completions/cricket
  cricket completion zsh > ~/.zfunc/_cricket
  cricket completion fish > ~/.config/fish/completions/cricket.fish
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="for which shell")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from cricket.cli.completion.scripts import SCRIPTS

    sys.stdout.write(SCRIPTS[args.shell])
    return 0
