"""The scripts for shells. They only ask and show: what completes to what is known by `cricket __complete` alone."""

from __future__ import annotations

BASH = r"""# bash completion for cricket
_cricket() {
    local line=${COMP_LINE:0:COMP_POINT} value about cut="" broken
    local -a words
    COMPREPLY=()
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local word=${words[-1]}
    # What bash takes for separate words, but is one to us, must not be written twice.
    broken=${COMP_WORDBREAKS//[^:=]/}
    [[ -n $broken && $word == *[$broken]* ]] && cut=${word%"${word##*[$broken]}"}
    while IFS=$'\t' read -r value about; do
        case $value in
        :file) compopt -o filenames; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${word#"$cut"}") ;;
        :dir) compopt -o filenames; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "${word#"$cut"}") ;;
        :nospace) compopt -o nospace ;;
        ?*) COMPREPLY+=("${value#"$cut"}") ;;
        esac
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _cricket cricket
"""

ZSH = r"""#compdef cricket
_cricket() {
    local line value about space=" "
    local -a found plain
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        value=${line%%$'\t'*} about=${line#*$'\t'}
        case $value in
            (:nospace) space="" ;;
            (:file|:dir|"") plain+=("$value") ;;
            (*) [[ $value == "$about" ]] && about="" || about=":$about"; found+=("${value//:/\\:}$about") ;;
        esac
    done
    (( $#found )) && _describe -V cricket found -S "$space"
    (( ${plain[(Ie):file]} )) && _files
    (( ${plain[(Ie):dir]} )) && _files -/
    return 0
}
if [[ $funcstack[1] == _cricket ]]; then _cricket "$@"; else compdef _cricket cricket; fi
"""

FISH = r"""# fish completion for cricket
function __cricket_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for line in ($program __complete $words "$word" 2>/dev/null)
        switch $line
            case :file
                __fish_complete_path "$word"
            case :dir
                __fish_complete_directories "$word"
            case ':*'
            case '*'
                printf '%s\n' "$line"
        end
    end
end
complete -c cricket -f -a '(__cricket_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
