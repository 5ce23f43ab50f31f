#compdef luthier
# Completion of luthier for zsh: put this file, as _luthier, into a folder of fpath, or `luthier completion zsh --install`.
_luthier() {
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX" found
    local -a whole open
    for found in "${(@f)$(COMP_LINE=$line COMP_POINT=${#line} ${words[1]} -sc query=zsh 2>/dev/null)}"; do
        case $found in
            '') ;;
            *[=./]) open+=("$found") ;;
            *) whole+=("$found") ;;
        esac
    done
    (( ${#open} )) && compadd -Q -S '' -a open
    (( ${#whole} )) && compadd -Q -a whole
}
if [[ ${funcstack[1]} == _luthier ]]; then _luthier "$@"; else compdef _luthier luthier; fi
